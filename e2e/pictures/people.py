"""Calls the API as people do, so that every kind of mail goes out, and takes the mails as they come."""

import dataclasses
import json
import pathlib
import re
import time
import urllib.error
import urllib.request

PASSWORD = "kapal layar putih 7"
OTHER_PASSWORD = "perahu kecil biru 8"
# How long a mail may take, in seconds.
COMES = 30
# How long one answer may take, in seconds.
ANSWER = 30


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody to write to. `mark` names their pictures."""

    mark: str
    language: str
    name: str
    email: str
    new_email: str


PEOPLE = (
    Person("en", "EN", "Ayu Lestari", "ayu@en.nakhoda.test", "ayu.lestari@en.nakhoda.test"),
    Person("id", "ID", "Ayu Lestari", "ayu@id.nakhoda.test", "ayu.lestari@id.nakhoda.test"),
    # As long as names and addresses of real people get, some without a place to break.
    Person(
        "id-long", "ID", "Raden Ayu Siti Nurhaliza Kusumawardhani Prawiranegara-Hadiningrat binti H. Muhammad Syarifuddin",
        "siti@panjang.nakhoda.test",
        "siti.nurhaliza_kusumawardhani_prawiranegara@kantorpemasaranregional.perusahaanperkapalannusantara.co.id",
    ),
)


@dataclasses.dataclass(frozen=True)
class Mail:
    """A mail as somebody got it."""

    kind: str
    person: Person
    subject: str
    text: str
    html: str


class Api:
    """The API, and the mails that it has sent."""

    def __init__(self, url, mails, administrator):
        self.url, self._mails, self._administrator = url, pathlib.Path(mails), administrator
        self._taken = {file.name for file in self._mails.glob("*.json")}

    def call(self, method, path, body=None, token=None):
        """Calls it and takes nothing but success; waits where it is told to. Returns the answer and its headers."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        while True:
            request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=ANSWER) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                pause = int(error.headers.get("Retry-After", 0))
                if error.code != 429 or not 0 < pause <= 60:
                    raise RuntimeError(f"{method} {path}: {error.code}: {error.read().decode()}") from error
                time.sleep(pause)

    def log_in(self, email, password):
        """An access token."""
        answer = self.call("POST", "/api/v1/auth/login", {"email": email, "password": password})
        return answer["tokens"]["access_token"]

    def administrate(self, method, path, body):
        """Calls it as the administrator."""
        return self.call(method, f"/api/v1/admin{path}", body, self.log_in(*self._administrator))

    def mail(self, address):
        """The next mail, which must be to this address and no other."""
        end = time.monotonic() + COMES
        while time.monotonic() < end:
            new = sorted(file for file in self._mails.glob("*.json") if file.name not in self._taken)
            if new:
                self._taken.add(new[0].name)
                mail = json.loads(new[0].read_text())
                if mail["to"] != [address]:
                    raise RuntimeError(f"a mail to {address} was to come, not {mail['subject']!r} to {mail['to']}")
                return mail
            time.sleep(0.05)
        raise TimeoutError(f"no mail to {address} after {COMES} s")


def mails_to(api, person):
    """Walks somebody from registration to the end of the account. Returns the mails they got, of every kind one."""
    got = []

    def took(kind, address):
        mail = api.mail(address)
        got.append(Mail(kind, person, mail["subject"], mail["text"], mail["html"]))
        token = re.search(r"token=([\w~.-]+)", mail["text"])
        return token and token[1]

    def to_auth(path, **body):
        api.call("POST", f"/api/v1/auth/{path}", body)

    me = {"email": person.email, "name": person.name, "language": person.language}
    to_auth("register", password=PASSWORD, **me)
    to_auth("email/verify", token=took("VERIFY_EMAIL", person.email))
    took("WELCOME", person.email)
    to_auth("register", password=OTHER_PASSWORD, **me)
    took("ALREADY_REGISTERED", person.email)
    to_auth("password/forgot", email=person.email)
    to_auth("password/reset", token=took("RESET_PASSWORD", person.email), password=OTHER_PASSWORD)
    took("PASSWORD_CHANGED", person.email)
    token = api.log_in(person.email, OTHER_PASSWORD)
    number = api.call("GET", "/api/v1/me", token=token)["id"]
    api.call("POST", "/api/v1/me/email", {"email": person.new_email, "password": OTHER_PASSWORD}, token)
    to_auth("email/verify", token=took("CHANGE_EMAIL", person.new_email))
    took("EMAIL_CHANGED", person.email)
    api.administrate("POST", f"/users/{number}/deactivate", {})
    took("ACCOUNT_DEACTIVATED", person.new_email)
    api.administrate("POST", f"/users/{number}/activate", {})
    took("ACCOUNT_ACTIVATED", person.new_email)
    token = api.log_in(person.new_email, OTHER_PASSWORD)
    api.call("DELETE", "/api/v1/me", {"password": OTHER_PASSWORD, "erase": True}, token)
    took("ACCOUNT_DELETED", person.new_email)
    api.administrate("POST", "/users", {**me, "email": f"invited.{person.email}"})
    took("INVITATION", f"invited.{person.email}")
    return got
