"""How routes say what they answer: answers, problems, links and examples, for the API description.

Conventions: every route declares its answers through `answer`, `raw_answer` and `problems`; problem
documents have their own media type. `service.documents.description` makes the whole document of it.
"""

from typing import Any

from pydantic import BaseModel

from service.documents import examples
from worker.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

_PROBLEM_SCHEMA = {"$ref": "#/components/schemas/ProblemDocument"}
_TEXTS = ("text/",)
NULL = "<null>"
"""Stands for null in examples on their way through the framework, which leaves out members that are null."""

_RETRY_AFTER = {
    "Retry-After": ("Seconds after which trying again makes sense.", {"type": "integer", "minimum": 1})
}
_PROBLEM_HEADERS: dict[int, dict[str, tuple[str, dict[str, Any]]]] = {
    401: {"WWW-Authenticate": ("`Bearer`, and what is wrong with the key.", {"type": "string"})},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}


def answer(
    description: str,
    model: type[BaseModel],
    example: Any,
    headers: dict[str, str] | None = None,
    links: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A JSON answer; its links lead from what it says to other calls."""
    return {
        "description": description,
        "model": model,
        "content": {"application/json": {"example": with_null_marked(example)}},
        "headers": _headers(headers or {}),
        "links": links or {},
    }


def raw_answer(
    description: str,
    media_types: dict[str, Any],
    headers: dict[str, str] | None = None,
    schema: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """An answer that is not JSON; its media types, each with an example or None. Files have no schema."""
    content: dict[str, Any] = {}
    for media_type, example in media_types.items():
        content[media_type] = {} if example is None else {"example": example}
        if media_type.startswith(_TEXTS):
            content[media_type]["schema"] = schema or {"type": "string"}
    return {"description": description, "content": content, "headers": _headers(headers or {})}


def link(operation: str, description: str, **parameters: str) -> dict[str, Any]:
    """A link from an answer to a call; parameters are runtime expressions, or values."""
    return {"operationId": operation, "description": description, "parameters": parameters}


def problems(**named: dict[str, Any]) -> Responses:
    """The problems that a route may answer with, by an example of each; a fault is always possible."""
    responses: Responses = {}
    for name, example in {**named, "fault": examples.FAULT}.items():
        response = responses.setdefault(
            example["status"],
            {
                "description": example["title"],
                "content": {MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA, "examples": {}}},
                "headers": {
                    header: {"description": description, "schema": schema}
                    for header, (description, schema) in _PROBLEM_HEADERS.get(example["status"], {}).items()
                },
            },
        )
        response["content"][MEDIA_TYPE]["examples"][name] = {"value": with_null_marked(example)}
        if example["title"] not in response["description"]:
            response["description"] += f"; {example['title']}"
    return responses


def with_null_marked(value: Any) -> Any:
    """The example with `NULL` for null."""
    if isinstance(value, dict):
        return {name: with_null_marked(member) for name, member in value.items()}
    if isinstance(value, list):
        return [with_null_marked(member) for member in value]
    return NULL if value is None else value


def _headers(headers: dict[str, str]) -> dict[str, Any]:
    return {
        name: {"description": description, "schema": {"type": "string"}}
        for name, description in headers.items()
    }
