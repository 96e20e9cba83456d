"""What any call may be answered before its route is asked, for the API description.

Conventions: an operation's own problems stay; those of the edge are added to them, each with an example.
"""

from typing import Any

from service.documents.documentation import problems
from service.documents.examples import problem
from worker.problems import MEDIA_TYPE

_OF_ALL = {
    "bad_request": problem(
        "bad-request",
        "Not a request that can be read",
        400,
        "A request needs one Host header that names a host, not ''.",
    ),
    "address_too_long": problem(
        "address-too-long",
        "The address is too long",
        414,
        "The path and the query are 9000 bytes long; the limit is 8192.",
    ),
    "misdirected": problem(
        "misdirected",
        "Addressed to another host",
        421,
        "This service is not 'evil.example'. TIMBRESCOPE_ALLOWED_HOSTS says under which names it may be "
        "addressed.",
    ),
    "head_too_large": problem(
        "head-too-large",
        "The headers are too large",
        431,
        "500 headers of 20000 bytes in all; the limits are 200 and 32768 bytes.",
    ),
}
_OF_CHANGES = {
    "foreign_origin": problem(
        "foreign-origin",
        "Sent by a page of another origin",
        403,
        "A web page of 'http://evil.example' may not do this here. TIMBRESCOPE_CORS_ORIGINS says which may.",
    ),
}
_OF_BODIES = {
    "upload_timed_out": problem(
        "upload-timed-out", "The upload took too long", 408, "Nothing of the body arrived for 20 s."
    ),
}
_OF_FORMS = {
    "too_many_uploads": problem(
        "too-many-uploads",
        "Too many uploads at once",
        503,
        "64 uploads are being taken in already; try again in a moment.",
    ),
}


def add_edge_problems(paths: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Adds them to every operation of a description's paths."""
    for operations in paths.values():
        for method, operation in operations.items():
            examples = _OF_ALL | (_OF_CHANGES if method != "get" else {})
            body = operation.get("requestBody", {}).get("content", {})
            examples |= _OF_BODIES if body else {}
            examples |= _OF_FORMS if "multipart/form-data" in body else {}
            _add(operation["responses"], examples)


def _add(answers: dict[str, Any], examples: dict[str, Any]) -> None:
    for status, added in problems(**examples).items():
        there = answers.setdefault(str(status), added)
        known = there["content"][MEDIA_TYPE]["examples"]
        if there is not added:
            for name, example in added["content"][MEDIA_TYPE]["examples"].items():
                known.setdefault(name, example)
            if added["description"] not in there["description"]:
                there["description"] += f"; {added['description']}"
