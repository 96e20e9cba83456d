"""The OpenAPI document of the application, as `/openapi.json` serves it and the repository holds it.

Conventions: what routes say of themselves comes through `service.documents.documentation`; here is put right
what the framework says otherwise than it is, and added what holds for every call.
"""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from service.documents.documentation import NULL
from service.documents.schemas import JobEventDocument, ProblemDocument
from service.edge.description import add_edge_problems
from service.submitting.orders import DatasetRequest, TrainingRequest

TITLE = "Timbrescope"
# Of the contract, not of the program: it changes when a client would have to.
API_VERSION = "1.0"
DESCRIPTION = """\
Listens to a recording, says which instruments play, and shows *why* it says so: a relevance map per
instrument over the mel-spectrogram, made with Concept Relevance Propagation.

Send a recording to `POST /classify` or `POST /explain`, or the stems of a mix to `POST /explain/check`. The
answer is a job; `Prefer: wait=30` waits for it, and otherwise `GET /jobs/{id}` or its events tell how it
fares. Its result links to the files that it made. Several recordings at once go to `POST /classify/batch` or
`POST /explain/batch`, and have a job each.

A request with an `Idempotency-Key` can be sent again without making a second job. A question that was
answered before is answered at once with the same result, unless `Cache-Control: no-cache` asks otherwise.

A service that others than its own machine reach needs an API key with every call, as `Authorization: Bearer
KEY`; elsewhere one may be sent. What was asked for with a key is there for that key only.

Every error is an RFC 9457 problem document (`application/problem+json`) whose `type` is stable.
"""
_ALWAYS_WITH_KEY = "making"
TAGS = [
    {"name": "analysis", "description": "Send recordings."},
    {"name": _ALWAYS_WITH_KEY, "description": "Make data sets and models; needs a key of scope admin."},
    {"name": "jobs", "description": "Follow jobs and fetch what they made."},
    {"name": "models", "description": "What can be asked for."},
    {"name": "service", "description": "The service itself."},
]

_FORM = "multipart/form-data"
# What the fields of forms that are files may hold; it is their content that is looked at, never this type.
_AUDIO = ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg", "audio/aiff")
_FILES = {"file": ", ".join((*_AUDIO, "audio/midi")), "stem": ", ".join(_AUDIO)}
_UNUSED = ("HTTPValidationError", "ValidationError")
_REF = "#/components/schemas/"


def describe(app: FastAPI, *, keys_are_required: bool = False) -> dict[str, Any]:
    """The OpenAPI document of the application. Where keys are not required, most calls need none."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=TITLE,
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            webhooks=app.webhooks.routes,
            tags=TAGS,
            servers=[{"url": "/", "description": "This service."}],
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        )
        schemas = document["components"]["schemas"]
        for model in (ProblemDocument, JobEventDocument, DatasetRequest, TrainingRequest):
            schemas.update(_schemas_of(model))
        # The framework describes its own validation errors, which are never sent here.
        for unused in _UNUSED:
            schemas.pop(unused, None)
        add_edge_problems(document["paths"])
        for operation in _operations(document):
            _mend(operation, schemas)
            if not keys_are_required and _ALWAYS_WITH_KEY not in operation["tags"]:
                _make_key_optional(operation)
        for told in document["webhooks"].values():
            del told["post"]["responses"]["422"]
        app.openapi_schema = _with_nulls(document)
    return app.openapi_schema


def _mend(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    if "application/json" in operation["responses"].get("422", {}).get("content", {}):
        del operation["responses"]["422"]
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    body = operation.get("requestBody", {}).get("content", {}).get(_FORM)
    if body is not None:
        form = schemas[body["schema"]["$ref"].removeprefix(_REF)]
        form["properties"] = {name: _without_null(field) for name, field in form["properties"].items()}
        for field in form["properties"].values():
            _name_files(field)
        body["encoding"] = {
            name: {"contentType": kinds} for name, kinds in _FILES.items() if name in form["properties"]
        }
    for answer in operation["responses"].values():
        answer.setdefault("headers", {}).update(_headers_of_all())


def _with_nulls(part: Any) -> Any:
    """The document with the nulls of its examples."""
    if isinstance(part, dict):
        return {name: _with_nulls(member) for name, member in part.items()}
    if isinstance(part, list):
        return [_with_nulls(member) for member in part]
    return None if part == NULL else part


def _make_key_optional(operation: dict[str, Any]) -> None:
    if "security" in operation:
        operation["security"].append({})


def _name_files(field: dict[str, Any]) -> None:
    """Says of a file that it is one in the words of OpenAPI 3.0 too, which many programs still go by."""
    for schema in (field, field.get("items", {})):
        if schema.get("contentMediaType") == "application/octet-stream":
            schema["format"] = "binary"


def _headers_of_all() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "X-Request-ID": {
            "description": "Names the request; it stands in the logs.",
            "required": True,
            "schema": text,
        },
    }


def _schemas_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a body that the framework does not describe itself, and those that it refers to."""
    schema = model.model_json_schema(ref_template=f"{_REF}{{model}}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter, or of a form's field: it may be left out, but it cannot be null."""
    kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return field
    return {**kinds[0], **{name: value for name, value in field.items() if name != "anyOf"}}


def _operations(document: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return (operation for path in document["paths"].values() for operation in path.values())
