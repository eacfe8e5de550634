"""Who calls, and what they call when they call it right. hooks.py says when.

NAKHODA_CONTRACT_AS says who calls: `administrator`, or `nobody`.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import time
import uuid

import requests

API = os.environ["NAKHODA_API_URL"]
GATEWAY = os.environ["NAKHODA_GATEWAY_URL"]
MAILS = pathlib.Path(os.environ["NAKHODA_MAILS"])
DOCUMENT = json.loads(pathlib.Path("openapi.json").read_text())
# The document's own example, so that what asks for the caller's password (DELETE /me) is also reached with the right one.
PASSWORD = DOCUMENT["components"]["schemas"]["Login"]["properties"]["password"]["example"]
# Where calls come from: 250 places for those of this process. Some things are counted a place.
PLACE = f"10.{os.getpid() // 250 % 250}.{os.getpid() % 250}"


def call(
    method: str, path: str, body: dict | None = None, bearer: str = "", place: str = f"{PLACE}.250", key: str = ""
) -> dict:
    """Calls the API beside the fuzzing, which must succeed."""
    headers = {"X-Forwarded-For": place} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    headers |= {"Idempotency-Key": key} if key else {}
    answer = requests.request(method, f"{API}/api/v1{path}", json=body, headers=headers, timeout=30)
    if not answer.ok:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json() if answer.content else {}


def post(path: str, body: dict, bearer: str = "") -> dict:
    return call("POST", path, body, bearer)


def log_in(email: str, password: str) -> dict:
    return post("/auth/login", {"email": email, "password": password})


class Root:
    """The administrator who makes the others."""

    def __init__(self) -> None:
        # From where it is known to log in: what is fuzzed may be wrong passwords for it, until logins from other places have to wait.
        who = {"email": os.environ["NAKHODA_ADMIN_EMAIL"], "password": os.environ["NAKHODA_ADMIN_PASSWORD"]}
        answer = call("POST", "/auth/login", who, place="127.0.0.1")
        self.id = answer["user"]["id"]
        self._keep(answer["tokens"])

    def _keep(self, tokens: dict) -> None:
        self._tokens = tokens
        self._refresh_at = time.monotonic() + tokens["expires_in_seconds"] / 2

    def token(self) -> str:
        if time.monotonic() >= self._refresh_at:
            self._keep(post("/auth/refresh", {"refresh_token": self._tokens["refresh_token"]}))
        return self._tokens["access_token"]


mails: dict[str, dict] = {}


def mailed_token(email: str, nth: int = 1) -> str:
    """The token in the nth mail to an address that has a link with one."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for path in MAILS.glob("*.json"):
            if path.name not in mails:
                mails[path.name] = json.loads(path.read_text())
        texts = [mails[name]["text"] for name in sorted(mails) if email in mails[name]["to"]]
        links = [link for link in (re.search(r"[?&#]token=([\w.~-]+)", text) for text in texts) if link]
        if len(links) >= nth:
            return links[nth - 1][1]
        time.sleep(0.05)
    raise RuntimeError(f"no mail {nth} to {email} within 30 s")


class Caller:
    """An administrator to fuzz as. It may log itself out, deactivate or delete itself, or take its own role: then there is the next one."""

    def __init__(self) -> None:
        self.email, self._token = "", ""

    def token(self) -> str:
        if not self._token:
            self._token = self._log_in_again() or self._make_another()
        return self._token

    def _log_in_again(self) -> str | None:
        try:
            logged_in = log_in(self.email, PASSWORD)
        except RuntimeError:
            # Not there yet, or not any more.
            return None
        return logged_in["tokens"]["access_token"] if logged_in["user"]["role"] == "ADMINISTRATOR" else None

    def _make_another(self) -> str:
        self.email = new_email()
        post("/admin/users", {"email": self.email, "name": "Contract", "role": "ADMINISTRATOR"}, ROOT.token())
        post("/auth/password/reset", {"token": mailed_token(self.email), "password": PASSWORD})
        return log_in(self.email, PASSWORD)["tokens"]["access_token"]

    def begin_anew(self) -> None:
        """The next one, who has nothing yet."""
        self._token = self._make_another()

    def look_at(self, case, response) -> None:
        """Forgets the token where its session has ended or its user may no more what it could."""
        if response.status_code not in (401, 403) or case.headers.get("Authorization") != f"Bearer {self._token}":
            return
        if response.json()["code"] in ("auth.invalid_token", "auth.forbidden"):
            self.forget()

    def forget(self) -> None:
        self._token = ""


IS_ADMINISTRATOR = os.environ["NAKHODA_CONTRACT_AS"] == "administrator"
ROOT = Root() if IS_ADMINISTRATOR else None
CALLER = Caller() if IS_ADMINISTRATOR else None


def new_email() -> str:
    return f"contract-{uuid.uuid4()}@nakhoda.test"


def registered() -> str:
    """Somebody new, whose address is not proven yet."""
    email = new_email()
    post("/auth/register", {"email": email, "password": PASSWORD, "name": "Contract"})
    return email


def proven() -> str:
    """Somebody new, who can log in."""
    email = registered()
    post("/auth/email/verify", {"token": mailed_token(email)})
    return email


def to_be_reset() -> str:
    """The token of somebody who asked for a new password."""
    email = proven()
    post("/auth/password/forgot", {"email": email})
    return mailed_token(email, 2)


def somebody() -> str:
    """The id of somebody who was invited."""
    return post("/admin/users", {"email": new_email(), "name": "Contract"}, ROOT.token())["id"]


def a_mail() -> str:
    """The id of a mail that went out, and whose link is not used yet."""
    email = registered()
    mailed_token(email)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = call("GET", f"/admin/emails?recipient={email}&status=SENT", bearer=ROOT.token())["items"]
        if found:
            return found[0]["id"]
        time.sleep(0.05)
    raise RuntimeError(f"the mail to {email} is not known to be sent within 30 s")


def a_job() -> str:
    """The id of a job; those that are scheduled are there from the start."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = call("GET", "/admin/jobs", bearer=ROOT.token())["items"]
        if found:
            return found[0]["id"]
        time.sleep(0.05)
    raise RuntimeError("no scheduled job is there within 30 s")


def another_session() -> str:
    """The id of a session of the caller's, which is not the one that calls."""
    # The last call may have been its good-bye.
    CALLER.forget()
    token = CALLER.token()
    log_in(CALLER.email, PASSWORD)
    sessions = call("GET", "/me/sessions", bearer=token)["items"]
    return next(session["id"] for session in sessions if not session["current"])


def adjustment(user: str) -> dict:
    return {"user_id": user, "kind": "CREDIT", "amount": 50_000, "reason": "Contract"}


def transaction_of(user: str) -> dict:
    """A transaction of somebody's."""
    made = call("POST", "/admin/billing/adjustments", adjustment(user), ROOT.token(), key=str(uuid.uuid4()))
    return made["transaction"]


def own_transaction() -> str:
    """The number of a transaction of the caller's."""
    # The last call may have been its good-bye.
    CALLER.forget()
    return transaction_of(call("GET", "/me", bearer=CALLER.token())["id"])["number"]


def notification() -> dict:
    """A notification that the gateway has signed, about an order of nobody here."""
    signed = {"order_id": str(uuid.uuid4()), "status_code": "200", "gross_amount": "50000.00"}
    text = "".join(signed.values()) + os.environ["NAKHODA_GATEWAY_KEY"]
    return signed | {"signature_key": hashlib.sha512(text.encode()).hexdigest()}


def own_top_up() -> dict:
    """A top-up of the caller's that is not paid yet: one that is there, for there is a bound on how many."""
    CALLER.forget()
    token = CALLER.token()
    pending = call("GET", "/wallet/top-ups?status=PENDING", bearer=token)["items"]
    payable = [one for one in pending if one["payment"]]
    return payable[0] if payable else call("POST", "/wallet/top-ups", {"amount": 50_000}, token, key=str(uuid.uuid4()))


def at_the_gateway(verb: str, order: str) -> None:
    body = {"order_id": order, "method": "bca_va"}
    requests.post(f"{GATEWAY}/control/{verb}", json=body, timeout=30).raise_for_status()


def a_finding() -> str:
    """The id of a finding that nobody has settled: of a top-up that was paid twice."""
    top_up = own_top_up()
    book = requests.get(f"{GATEWAY}/control/book", timeout=30).json()
    orders = book if isinstance(book, list) else book["orders"]
    order = next(one["order_id"] for one in orders if one["token"] == top_up["payment"]["token"])
    at_the_gateway("pay", order)
    at_the_gateway("second_payment", order)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = call("GET", f"/admin/billing/findings?settled=false&top_up_id={top_up['id']}", bearer=ROOT.token())["items"]
        if found:
            return found[0]["id"]
        time.sleep(0.05)
    raise RuntimeError("a top-up that was paid twice is not noted within 30 s")


def good_bye() -> dict:
    """How the caller leaves for good: somebody who has no money here."""
    CALLER.begin_anew()
    return {"password": PASSWORD, "erase": True}


def new_category() -> dict:
    return {"slug": f"contract-{uuid.uuid4()}", "name_en": "Contract", "name_id": "Kontrak", "position": 9}


def a_category() -> dict:
    """Where there is a category that no service is in."""
    return {"slug": call("POST", "/admin/categories", new_category(), ROOT.token())["slug"]}


# Calls that are right, where that takes something which nobody can guess.
PUBLIC = {
    "POST /api/v1/auth/register": lambda: {"body": {"email": new_email(), "password": PASSWORD, "name": "Contract"}},
    "POST /api/v1/auth/email/verify": lambda: {"body": {"token": mailed_token(registered())}},
    "POST /api/v1/auth/login": lambda: {"body": {"email": proven(), "password": PASSWORD}},
    "POST /api/v1/auth/refresh": lambda: {
        "body": {"refresh_token": log_in(proven(), PASSWORD)["tokens"]["refresh_token"]}
    },
    "POST /api/v1/auth/password/reset": lambda: {"body": {"token": to_be_reset(), "password": PASSWORD}},
    "POST /api/v1/webhooks/midtrans": lambda: {"body": notification()},
}
ADMINISTRATORS = {
    "POST /api/v1/admin/users": lambda: {"body": {"email": new_email(), "name": "Contract"}},
    "POST /api/v1/admin/users/bulk": lambda: {"body": {"action": "DEACTIVATE", "ids": [somebody(), somebody()]}},
    "GET /api/v1/admin/users/{id}": lambda: {"id": somebody()},
    "PATCH /api/v1/admin/users/{id}": lambda: {"id": somebody(), "body": {"name": "Ayu"}, "headers": {"If-Match": "*"}},
    "DELETE /api/v1/admin/users/{id}": lambda: {"id": somebody(), "body": {}},
    "POST /api/v1/admin/users/{id}/activate": lambda: {"id": somebody(), "body": {}},
    "POST /api/v1/admin/users/{id}/deactivate": lambda: {"id": somebody(), "body": {}},
    "PUT /api/v1/admin/users/{id}/role": lambda: {"id": somebody(), "body": {"role": "ADMINISTRATOR"}},
    "GET /api/v1/admin/users/{id}/quota": lambda: {"id": somebody()},
    "GET /api/v1/admin/emails/{id}": lambda: {"id": a_mail()},
    "POST /api/v1/admin/emails/{id}/resend": lambda: {"id": a_mail(), "body": {}},
    "GET /api/v1/admin/jobs/{id}": lambda: {"id": a_job()},
    "POST /api/v1/admin/jobs/{id}/retry": lambda: {"id": a_job(), "body": {}},
    "POST /api/v1/admin/jobs/{id}/discard": lambda: {"id": a_job(), "body": {}},
    "GET /api/v1/wallet/transactions/{id}": lambda: {"id": own_transaction()},
    "GET /api/v1/admin/billing/transactions/{id}": lambda: {"id": transaction_of(somebody())["id"]},
    "POST /api/v1/admin/billing/adjustments": lambda: {
        "body": adjustment(somebody()),
        "headers": {"Idempotency-Key": str(uuid.uuid4())},
    },
    "GET /api/v1/wallet/top-ups/{id}": lambda: {"id": own_top_up()["id"]},
    "POST /api/v1/wallet/top-ups/{id}/pay": lambda: {"id": own_top_up()["id"], "body": {}},
    "POST /api/v1/wallet/top-ups/{id}/sync": lambda: {"id": own_top_up()["id"]},
    "POST /api/v1/wallet/top-ups/{id}/cancel": lambda: {"id": own_top_up()["id"]},
    "GET /api/v1/admin/billing/payments": lambda: {"query": {"of": own_top_up()["id"]}},
    "POST /api/v1/admin/billing/findings/{id}/settle": lambda: {"id": a_finding(), "body": {"note": "Contract"}},
    "DELETE /api/v1/me": lambda: {"body": good_bye()},
    # There is no cluster, which they say of a name that might be one's.
    **{
        f"{method} /api/v1/admin/{kind}/{{name}}{end}": lambda: {"path": {"name": "ghost"}, "headers": {"If-Match": "*"}, "body": {}}
        for kind in ("plans", "services")
        for method, end in (("PATCH", ""),)
    },
    **{
        f"{method} /api/v1/admin/{kind}/{{name}}{end}": lambda: {"path": {"name": "ghost"}, "headers": {"If-Match": "*"}}
        for kind in ("plans", "services")
        for method, end in (("GET", ""), ("DELETE", ""), ("GET", "/stats"))
    },
    "GET /api/v1/catalog/plans/{name}": lambda: {"path": {"name": "ghost-small"}},
    "GET /api/v1/catalog/services/{slug}": lambda: {"path": {"slug": "ghost"}},
    "GET /api/v1/catalog/services/{slug}/plans": lambda: {"path": {"slug": "ghost"}},
    "POST /api/v1/admin/categories": lambda: {"body": new_category()},
    "GET /api/v1/admin/categories/{slug}": lambda: {"path": a_category()},
    "PATCH /api/v1/admin/categories/{slug}": lambda: {"path": a_category(), "body": {"name_id": "Lain"}},
    "DELETE /api/v1/admin/categories/{slug}": lambda: {"path": a_category()},
    "DELETE /api/v1/me/sessions/{id}": lambda: {"id": another_session()},
}


def right_call(label: str) -> dict | None:
    """A right call of an operation, where it is one of those."""
    right = PUBLIC.get(label) or (ADMINISTRATORS.get(label) if IS_ADMINISTRATOR else None)
    return right() if right else None
