"""Pictures of the page that shows the API's document, as somebody uses it who reads and tries."""

import json
import pathlib
import urllib.parse

import view

SCRIPT = (pathlib.Path(__file__).parent / "docs.js").read_text()
# A name, for the page asks others for help only where it is not at home on this machine.
HOST = "api.nakhoda.test"
VIEWS = (
    view.View("desk", 1280, "light"), view.View("desk", 1280, "dark"), view.View("phone", 375, "light"), view.View("phone", 375, "dark"),
)


def take(report, page, api, administrator):
    """Looks at the page, logs in on it, and asks who one is."""
    operations = _operations(api)
    port = urllib.parse.urlsplit(api.url).port
    for one in VIEWS:
        page.look(one)
        page.open(f"http://{HOST}:{port}/docs")
        page.until("document.querySelectorAll('.opblock').length > 0", "the operations of the page")
        # Whatever it asks of others it asks once it has shown something.
        page.until("new Promise(done => setTimeout(() => done(true), 1000))", "a second")
        report.took("docs/page", one, page.picture(report.folder / f"docs/page.{one}.png"))
        page.ask(f"nakhoda = ({SCRIPT})(), true")
        _fits(report, page, one, "docs/page")
        listed = {tuple(operation) for operation in page.ask("nakhoda.operations()")}
        report.check(listed == operations, f"docs/page ({one}) lacks {operations - listed}, has {listed - operations}")
        _try(report, page, one, administrator)
        _check(report, page, one, port)


def _operations(api):
    paths = api.call("GET", "/openapi.json")["paths"]
    return {(method, path) for path, methods in paths.items() for method in methods if method != "parameters"}


def _try(report, page, one, administrator):
    """Opens two operations and executes them: one that logs in, one that needs it."""
    email, password = administrator
    body = json.dumps({"email": email, "password": password}, indent=2)
    answer = _execute(report, page, one, "post", "/api/v1/auth/login", body)
    page.ask("nakhoda.authorize()")
    page.until("document.activeElement.matches('.auth-container input')", "the field for a token")
    page.type(answer["tokens"]["access_token"])
    report.took("docs/authorize", one, page.screen(report.folder / f"docs/authorize.{one}.png"))
    page.ask("nakhoda.authorized()")
    me = _execute(report, page, one, "get", "/api/v1/me", None)
    report.check(me["email"] == email, f"docs ({one}): GET /me by the page answers {me}")


def _execute(report, page, one, method, path, body):
    quoted = json.dumps([method, path])
    page.ask(f"nakhoda.open(...{quoted})")
    page.until(f"nakhoda.canExecute(...{quoted})", f"the button of {method} {path}")
    opened = page.ask("nakhoda.opened()")
    report.check(opened == 1, f"docs ({one}): opening {method} {path} opens {opened} operations")
    if body:
        page.ask(f"nakhoda.focusBody(...{quoted})")
        page.type(body)
    page.ask(f"nakhoda.execute(...{quoted})")
    page.until(f"nakhoda.answer(...{quoted}) !== null", f"the answer of {method} {path}")
    name = f"docs/{method}-{path.rsplit('/', 1)[1]}"
    report.took(name, one, page.picture(report.folder / f"{name}.{one}.png", page.ask(f"nakhoda.box(...{quoted})")))
    _fits(report, page, one, name)
    answer = json.loads(page.ask(f"nakhoda.answer(...{quoted})"))
    page.ask(f"nakhoda.open(...{quoted})")
    return answer


def _fits(report, page, one, name):
    wide = page.ask(f"nakhoda.wide({one.width})")
    report.check(not wide, f"{name} ({one}) is wider than its screen: {wide}")


def _check(report, page, one, port):
    complaints = page.complaints()
    report.check(not complaints, f"docs ({one}): the console says {complaints}")
    home = f"http://{HOST}:{port}/"
    foreign = [url for url in page.requests() if not url.startswith((home, "data:", "about:"))]
    report.check(not foreign, f"docs ({one}) asks for {foreign}")
