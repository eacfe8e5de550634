"""A Chromium without a window, spoken to through its DevTools protocol.

The protocol goes through two pipes (`--remote-debugging-pipe`): messages in JSON, each ended by a NUL. So no port is open and nothing
beside Python itself is needed.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Roboto is what a phone shows; without the other one the anchor is an empty box.
PACKAGES = ("chromium", "fonts-roboto-unhinted", "fonts-noto-color-emoji")
# How long one answer of the browser may take, in seconds.
ANSWER = 60
# How long a page may take to show what is waited for, in seconds.
SHOWN = 30


class Missing(Exception):
    """There is no browser."""


def program():
    """The browser's program; installed where that can be done without asking."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing(f"there is no Chromium; on Debian, as root: apt-get install {' '.join(PACKAGES)}")
    print("installing Chromium")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", "-q", *arguments], env=quiet, capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            raise Missing(f"apt-get {arguments[0]} failed: {done.stderr.strip()}")
    return shutil.which("chromium")


class Browser:
    """Dropping it by `with` ends it. `hosts` are the names that lead to this machine; every other one leads nowhere."""

    def __init__(self, hosts):
        self._home = tempfile.mkdtemp(prefix="nakhoda-pictures-")
        rules = ",".join([*(f"MAP {host} 127.0.0.1" for host in hosts), "MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1"])
        arguments = [
            program(), "--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
            "--disable-sync", "--disable-features=HttpsUpgrades,Translate,OptimizationHints,MediaRouter",
            "--force-color-profile=srgb", f"--host-resolver-rules={rules}", f"--user-data-dir={self._home}", "about:blank",
        ]
        if os.geteuid() == 0:
            # Its sandbox refuses to be root's.
            arguments.insert(1, "--no-sandbox")
        their_in, self._out = os.pipe()
        self._in, their_out = os.pipe()
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(3, 4),
            preexec_fn=lambda: _as_three_and_four(their_in, their_out),
        )
        os.close(their_in)
        os.close(their_out)
        self._rest, self._number, self.events = b"", 0, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
            self._process.wait(20)
        except (OSError, TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def call(self, method, session=None, **parameters):
        """Calls a method of the protocol and returns its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        _write(self._out, json.dumps(message).encode() + b"\0")
        end, number = time.monotonic() + ANSWER, self._number
        while True:
            answer = self._read(end)
            if answer is None:
                raise TimeoutError(f"the browser does not answer {method}")
            if answer.get("id") != number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']['message']}")
            else:
                return answer["result"]

    def listen(self, seconds):
        """Takes in what the browser says unasked."""
        event = self._read(time.monotonic() + seconds)
        if event is not None:
            self.events.append(event)

    def _read(self, end):
        while b"\0" not in self._rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                return None
            more = os.read(self._in, 1 << 20)
            if not more:
                raise OSError("the browser has ended")
            self._rest += more
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def page(self):
        """A new page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        return Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])


class Page:
    """A tab. What it asked for and what it complained of is kept until `forget`."""

    def __init__(self, browser, session):
        self._browser, self._session = browser, session
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def _call(self, method, **parameters):
        return self._browser.call(method, self._session, **parameters)

    def look(self, view):
        """Looks as a screen of this width does: a phone with two dots a pixel and its own idea of a page's width."""
        phone = view.width < 600
        self._call(
            "Emulation.setDeviceMetricsOverride", width=view.width, height=812 if phone else 800,
            deviceScaleFactor=2 if phone else 1, mobile=phone,
        )
        scheme = "dark" if view.scheme == "dark" else "light"
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        # As mail programs do that turn colours round by themselves.
        self._call("Emulation.setAutoDarkModeOverride", enabled=view.scheme == "turned")

    def open(self, url):
        """Opens it and waits until it is loaded."""
        self.forget()
        error = self._call("Page.navigate", url=url).get("errorText")
        if error:
            raise RuntimeError(f"{url}: {error}")
        end = time.monotonic() + SHOWN
        while not any(self._said("Page.loadEventFired")):
            if time.monotonic() > end:
                raise TimeoutError(f"{url} is not loaded after {SHOWN} s")
            self._browser.listen(0.2)

    def forget(self):
        """Forgets what was asked for and complained of."""
        self._browser.events.clear()

    def ask(self, script):
        """The value of a JavaScript expression, promises awaited."""
        done = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise RuntimeError(f"{script}: {done['exceptionDetails']['exception'].get('description')}")
        return done["result"].get("value")

    def until(self, script, what):
        """Waits until an expression is true."""
        end = time.monotonic() + SHOWN
        while not self.ask(script):
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not after {SHOWN} s")
            self._browser.listen(0.1)

    def type(self, text):
        """Types into what has the focus, in place of what stands there."""
        self._call("Runtime.evaluate", expression="document.activeElement.select()")
        self._call("Input.insertText", text=text)

    def picture(self, path, box=None):
        """Writes a picture of the whole page, or of a box in it. Returns its width and height in the page's pixels."""
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        box = box or {"x": 0, "y": 0, "width": size["width"], "height": size["height"]}
        return self._take(path, box, captureBeyondViewport=True, clip={**box, "scale": 1})

    def screen(self, path):
        """Writes a picture of what is on the screen now. Returns its width and height in the page's pixels."""
        return self._take(path, self.ask("({width: innerWidth, height: innerHeight})"))

    def _take(self, path, box, **parameters):
        # Two frames later everything that was changed is painted.
        self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
        taken = self._call("Page.captureScreenshot", format="png", **parameters)
        path.write_bytes(base64.b64decode(taken["data"]))
        return round(box["width"]), round(box["height"])

    def requests(self):
        """The addresses of everything that was asked for."""
        return [event["request"]["url"] for event in self._said("Network.requestWillBeSent")]

    def complaints(self):
        """What stands in the console as an error or a warning, and what was thrown."""
        calls = [c for c in self._said("Runtime.consoleAPICalled") if c["type"] in ("error", "warning", "assert")]
        said = [" ".join(str(a.get("value", a.get("description", ""))) for a in c["args"]) for c in calls]
        thrown = [t["exceptionDetails"].get("exception", {}).get("description", "") for t in self._said("Runtime.exceptionThrown")]
        logged = [e["entry"] for e in self._said("Log.entryAdded") if e["entry"]["level"] in ("error", "warning")]
        return said + thrown + [f"{entry['text']} {entry.get('url', '')}".strip() for entry in logged]

    def _said(self, method):
        mine = (e for e in self._browser.events if e.get("sessionId") == self._session and e.get("method") == method)
        return (event["params"] for event in mine)


def _as_three_and_four(reads, writes):
    # Moved out of the way first: either may be one of the two.
    for there, here in ((reads, 90), (writes, 91), (90, 3), (91, 4)):
        os.dup2(there, here)


def _write(descriptor, data):
    while data:
        data = data[os.write(descriptor, data):]
