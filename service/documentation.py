"""What the OpenAPI document says of each route besides its types: answers, problems and examples.

Conventions: every route declares its answers through `answer`, `raw_answer` and `problems`; problem
documents have their own media type. `describe` makes the document that `/openapi.json` serves and the
repository holds.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from service import examples
from service.orders import DatasetRequest, TrainingRequest
from service.schemas import ProblemDocument
from worker.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

TITLE = "Timbrescope"
# Of the contract, not of the program: it changes when a client would have to.
API_VERSION = "1.0"
DESCRIPTION = """\
Listens to a recording, says which instruments play, and shows *why* it says so: a relevance map per
instrument over the mel-spectrogram, made with Concept Relevance Propagation.

Send a recording to `POST /classify` or `POST /explain`, or the stems of a mix to `POST /explain/check`. The
answer is a job; `Prefer: wait=30` waits for it, and otherwise `GET /jobs/{id}` or its events tell how it
fares. Its result links to the files that it made.

Every error is an RFC 9457 problem document (`application/problem+json`) whose `type` is stable.
"""
TAGS = [
    {"name": "analysis", "description": "Send recordings."},
    {"name": "making", "description": "Make data sets and models; needs the admin key."},
    {"name": "jobs", "description": "Follow jobs and fetch what they made."},
    {"name": "models", "description": "What can be asked for."},
    {"name": "service", "description": "The service itself."},
]

_PROBLEM_SCHEMA = {"$ref": "#/components/schemas/ProblemDocument"}


def answer(
    description: str, model: type[BaseModel], example: Any, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """A JSON answer."""
    return {
        "description": description,
        "model": model,
        "content": {"application/json": {"example": example}},
        "headers": _headers(headers or {}),
    }


def raw_answer(
    description: str, media_types: dict[str, Any], headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """An answer that is not JSON; its media types, each with an example or None."""
    content = {
        media_type: {"schema": {"type": "string"}} | ({} if example is None else {"example": example})
        for media_type, example in media_types.items()
    }
    return {"description": description, "content": content, "headers": _headers(headers or {})}


def problems(**named: dict[str, Any]) -> Responses:
    """The problems that a route may answer with, by an example of each; a fault is always possible."""
    responses: Responses = {}
    for name, example in {**named, "fault": examples.FAULT}.items():
        response = responses.setdefault(
            example["status"],
            {
                "description": example["title"],
                "content": {MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA, "examples": {}}},
            },
        )
        response["content"][MEDIA_TYPE]["examples"][name] = {"value": example}
        if example["title"] not in response["description"]:
            response["description"] += f"; {example['title']}"
    return responses


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the application."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=TITLE,
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            tags=TAGS,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        )
        schemas = document["components"]["schemas"]
        schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
        for body in (DatasetRequest, TrainingRequest):
            schemas.update(_schemas_of(body))
        for form in ("ClassifyForm", "ExplainForm", "CheckForm"):
            fields = schemas[form]["properties"]
            schemas[form]["properties"] = {name: _without_null(field) for name, field in fields.items()}
        # The framework describes its own validation errors, which are never sent here.
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for operation in _operations(document):
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
        app.openapi_schema = document
    return app.openapi_schema


def _schemas_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a body that the framework does not read itself, and those that it refers to."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """The schema of a form's field: it may be left out, but a form cannot send null."""
    kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return field
    return {**kinds[0], **{name: value for name, value in field.items() if name != "anyOf"}}


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def _headers(headers: dict[str, str]) -> dict[str, Any]:
    return {
        name: {"description": description, "schema": {"type": "string"}}
        for name, description in headers.items()
    }
