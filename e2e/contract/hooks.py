"""What schemathesis is told beside the document: what it must leave alone, and what "nothing undocumented" means here.

NAKHODA_CONTRACT_PART says what is done: `whole`, all that the document suggests, once; or `random`, for a time. A line about what was
seen goes to the file NAKHODA_CONTRACT_SEEN.
"""

from __future__ import annotations

import atexit
import collections
import os
import pathlib
import re

import jsonschema_rs
import schemathesis
from people import CALLER, DOCUMENT, PLACE, ROOT, right_call
from schemathesis.auths import AuthContext, set_on_case
from schemathesis.core import NOT_SET
from schemathesis.openapi.checks import RejectedPositiveData

NOTHING = "0192a000-0000-7000-8000-000000000000"
METHODS = ("get", "put", "post", "delete", "patch")
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in METHODS
}
GUARDED = {label for label, operation in OPERATIONS.items() if operation["security"]}
PART = os.environ["NAKHODA_CONTRACT_PART"]


if CALLER is not None:

    # Asked for each call: what schemathesis keeps of a token by itself outlives the session.
    @schemathesis.auth(refresh_interval=None).apply_to(lambda context: context.operation.label in GUARDED)
    class Administrator:
        def get(self, case, context):
            return CALLER.token()

        def set(self, case, data, context):
            case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_add_examples(context, examples):
    """Begins with a right call, where nobody can guess what that is."""
    right = right_call(context.operation.label)
    if right:
        parts = {"headers": {}, "body": NOT_SET} | right
        path = {"id": parts.pop("id")} if "id" in parts else parts.pop("path", {})
        media_type = None if parts["body"] is NOT_SET else "application/json"
        examples.insert(0, context.operation.Case(path_parameters=path, media_type=media_type, **parts))


calls = 0


@schemathesis.hook
def before_call(context, case, kwargs):
    """Lets calls come from many places, and keeps what all of it stands on."""
    global calls
    calls += 1
    # One network may register thirty times an hour, and a wrong password makes the network wait. So each is used for some calls only:
    # often enough to meet these limits, too.
    case.headers["X-Forwarded-For"] = f"{PLACE}.{calls // 40 % 250}"
    if CALLER is not None and case.meta is None and case.operation.label in GUARDED:
        # Ours of above; schemathesis says who it is only where it made the call up.
        set_on_case(case, AuthContext(operation=case.operation, app=None), None)
    if ROOT is None:
        return
    # Without this one there is nobody to make the next. All others are fair game.
    if isinstance(case.path_parameters, dict) and str(case.path_parameters.get("id", "")).lower() == ROOT.id:
        case.path_parameters["id"] = NOTHING
    if isinstance(case.body, dict) and isinstance(case.body.get("ids"), list):
        case.body["ids"] = [NOTHING if one == ROOT.id else one for one in case.body["ids"]]


# What was seen.

seen: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)


@schemathesis.hook
def after_call(context, case, response):
    # Other methods are tried, too.
    if response.request.method == case.operation.method.upper():
        seen[case.operation.label][response.status_code] += 1
    if CALLER is not None:
        CALLER.look_at(case, response)


def is_done(label: str) -> bool:
    return any(status < 300 for status in seen[label])


@atexit.register
def tell() -> None:
    """One line for ./run."""
    statuses = sum(seen.values(), collections.Counter())
    counts = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
    done = [label for label in OPERATIONS if is_done(label)]
    line = f"{statuses.total()} answers ({counts}); {len(done)} of {len(OPERATIONS)} operations done"
    if CALLER is not None and PART == "whole":
        line += "".join(f", not {label}" for label in OPERATIONS if label not in done)
    pathlib.Path(os.environ["NAKHODA_CONTRACT_SEEN"]).write_text(line)


@schemathesis.check
class the_fuzzing_gets_somewhere:
    """Where nothing is let in, nothing is proven: in the whole, each operation is called, and an administrator gets each done."""

    def after_run(self, ctx):
        # How far one comes in a time is the machine's.
        if PART != "whole":
            return
        missing = sorted(label for label in OPERATIONS if not seen[label])
        assert not missing, f"never called: {missing}"
        # What needs a cluster says so: there is none here. Without one nothing is bought.
        is_out_of_reach = re.compile(r".* /api/v1/(subscriptions|instances)/\{id\}")
        undone = [label for label in OPERATIONS if not is_done(label) and 503 not in seen[label]]
        undone = [label for label in undone if not is_out_of_reach.match(label)]
        assert CALLER is None or not undone, f"never done: {undone}; say in people.py what a right call of it is"


# What is right though schemathesis can't know it.


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure is one. A schema says what a token or a place in a list looks like, not which ones there are."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    problem = response.json()
    fields = {one["field"] for one in problem.get("errors", [])}
    return problem["code"] != "auth.invalid_one_time_token" and not fields & {"page[after]", "page[before]"}


# Nothing undocumented.

# What a layer or the connection adds to every answer, and what a client does not decide by.
EVERYWHERE = {
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "referrer-policy",
    "strict-transport-security",
    "vary",
    "x-content-type-options",
    "x-frame-options",
}


def closed(schema):
    """A schema that takes no property which it does not name. Clients are to ignore such; the document is to name all."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: closed(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)
    return schema


CLOSED = {"schemas": {name: closed(one) for name, one in DOCUMENT["components"]["schemas"].items()}}


def documented(case, response):
    """What the document says of an answer."""
    answers = OPERATIONS[case.operation.label]["responses"]
    answer = answers.get(str(response.status_code))
    if answer and "$ref" in answer:
        answer = DOCUMENT["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    return answer


def is_of_operation(case, response) -> bool:
    """Whether an answer is one of the case's operation; probes of other methods and paths are none."""
    return response.request.method == case.operation.method.upper() and case.operation.label in OPERATIONS


@schemathesis.check
def no_undocumented_field(ctx, response, case):
    if not is_of_operation(case, response) or not response.content:
        return
    kind = response.headers.get("content-type", [""])[0].split(";")[0]
    content = (documented(case, response) or {}).get("content", {}).get(kind)
    if content is None or not kind.endswith("json"):
        return
    schema = closed(content["schema"]) | {"components": CLOSED}
    problems = [f"{one.instance_path}: {one.message}" for one in jsonschema_rs.validator_for(schema).iter_errors(response.json())]
    if problems:
        raise AssertionError("The answer has what the document does not name: " + "; ".join(problems))


@schemathesis.check
def no_undocumented_header(ctx, response, case):
    answer = documented(case, response) if is_of_operation(case, response) else None
    if answer is None:
        return
    known = EVERYWHERE | {name.lower() for name in answer.get("headers", {})}
    others = {name for name in response.headers if name.lower() not in known and not name.startswith("access-control-")}
    if others:
        raise AssertionError(f"The answer has headers that the document does not name: {sorted(others)}")


@schemathesis.check
def problems_agree_with_their_answers(ctx, response, case):
    """Whatever is not as asked, undocumented methods too, is a problem whose parts say the same as the answer's."""
    if response.status_code < 400 or case.operation.path == "/readyz" or response.request.method == "HEAD":
        return
    kind = response.headers.get("content-type", [""])[0]
    if kind != "application/problem+json":
        raise AssertionError(f"{response.status_code} with {kind or 'no body'} and no problem")
    problem, request_id = response.json(), response.headers.get("x-request-id", [""])[0]
    agrees = (
        problem["status"] == response.status_code
        and problem["type"] == f"urn:nakhoda:problem:{problem['code']}"
        and problem["request_id"] == request_id
    )
    if not agrees:
        raise AssertionError(f"The problem and its answer differ: {response.status_code}, {request_id}, {problem}")
    if response.status_code == 401 and response.headers.get("www-authenticate", [""])[0] != "Bearer":
        raise AssertionError("401 without WWW-Authenticate: Bearer")
    if response.status_code == 429 and "retry-after" not in response.headers:
        raise AssertionError("429 without Retry-After")
