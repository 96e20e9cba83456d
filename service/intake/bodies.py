"""Structured bodies: JSON or YAML, bounded while they are read, checked against a model, faults by field.

Conventions: YAML is read as plain data, without aliases, for a few bytes of those may stand for gigabytes.
"""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import yaml
from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ml.errors import InvalidRequestError
from ml.synthesis.recipe import InvalidRecipeError
from ml.synthesis.sections import field_name
from worker.errors import BodyTooLargeError, UnsupportedBodyError

Model = TypeVar("Model", bound=BaseModel)

MAX_BODY_BYTES = 1_000_000
JSON = "application/json"
YAML = "application/yaml"
_YAML_NAMES = frozenset({YAML, "application/x-yaml", "text/yaml", "text/x-yaml"})
_LONGEST_ECHO = 60


async def read_body(request: Request, model: type[Model]) -> Model:
    """The body as the model wants it.

    Raises
    ------
    UnsupportedBodyError, BodyTooLargeError, InvalidRequestError, InvalidRecipeError
        Each naming what is wrong; all faults at once.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON and media_type not in _YAML_NAMES:
        raise UnsupportedBodyError(f"The body has to be {JSON} or {YAML}, not {media_type[:60]!r}.")
    text = await _text(request)
    fields = _json(text) if media_type == JSON else _yaml(text)
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise refusal(error.errors()) from error


def refusal(faults: Sequence[ErrorDetails]) -> InvalidRequestError:
    """The error that names each field with its fault; one of the recipe's says so by its type."""
    shown = [{"field": field_name(fault["loc"]), "message": _message(fault)} for fault in faults]
    sentence = "; ".join(f"{fault['field']}: {fault['message']}" for fault in shown)
    in_recipe = any(fault["loc"][:1] == ("recipe",) for fault in faults)
    kind = InvalidRecipeError if in_recipe else InvalidRequestError
    return kind(f"{sentence}.", extra={"errors": shown})


async def _text(request: Request) -> str:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            raise BodyTooLargeError(
                f"The body is larger than {MAX_BODY_BYTES} bytes.", extra={"max_bytes": MAX_BODY_BYTES}
            )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequestError("The body is not UTF-8 text.") from error


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidRequestError(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except ValueError as error:
        raise InvalidRequestError("The body has a number of more digits than can be read.") from error
    except RecursionError as error:
        raise InvalidRequestError("The body is nested too deeply.") from error


class _PlainLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not taken")
        return super().compose_node(parent, index)


def _yaml(text: str) -> Any:
    try:
        return yaml.load(text, _PlainLoader)
    except RecursionError as error:
        raise InvalidRequestError("The body is nested too deeply.") from error
    except (yaml.YAMLError, ValueError) as error:  # an impossible date is a ValueError
        raise InvalidRequestError(f"The body is not YAML: {' '.join(str(error).split())}.") from error


def _message(fault: ErrorDetails) -> str:
    if fault["type"] == "extra_forbidden":
        return "There is no such field"
    if fault["type"] == "missing":
        return "This field is required"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] in ("value_error", "unknown_field"):
        return message  # it says the value where that helps
    given = str(fault.get("input", ""))
    return f"{message}, not {given if len(given) <= _LONGEST_ECHO else given[:_LONGEST_ECHO] + '...'!r}"
