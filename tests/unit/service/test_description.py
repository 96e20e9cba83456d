"""The API's description is right in itself: valid, whole, and its examples and links are what they say.

That the service does what it says is tested in `tests/reliability/test_schema.py`; what was found there and
was wrong in the description has a test here.
"""

import json
import re
from collections.abc import Iterator
from functools import reduce
from typing import Any

import jsonschema_rs
import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.answering import sse
from service.app import create_app
from service.documents import examples
from service.openapi import document_text
from service.settings import ServiceSettings
from worker.ids import new_job_id

DOCUMENT: dict[str, Any] = json.loads(document_text())
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
BY_NAME = {operation["operationId"]: operation for operation in OPERATIONS.values()}
ANSWERS = {
    f"{call} {status}": answer
    for call, operation in OPERATIONS.items()
    for status, answer in operation["responses"].items()
}
ADMIN_TAG = "making"


def nodes(part: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document."""
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from nodes(value)
    elif isinstance(part, list):
        for value in part:
            yield from nodes(value)


def require_valid(value: Any, schema: dict[str, Any]) -> None:
    """Asserts that a value is what the schema wants, formats included."""
    whole = {**schema, "components": DOCUMENT["components"]}
    errors = [error.message for error in jsonschema_rs.validator_for(whole).iter_errors(value)]
    assert not errors, errors[:3]


def examples_of(media: dict[str, Any]) -> list[Any]:
    """What is shown of a parameter or a body."""
    shown = [example["value"] for example in media.get("examples", {}).values()]
    return [*shown, media["example"]] if "example" in media else shown


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_it_can_be_read_as_yaml() -> None:
    assert yaml.safe_load(document_text()) == DOCUMENT


def test_references_lead_somewhere() -> None:
    references = {node["$ref"] for node in nodes(DOCUMENT) if isinstance(node.get("$ref"), str)}
    assert len(references) > 20
    for reference in references:
        assert reference.startswith("#/"), reference
        reduce(lambda part, name: part[name], reference.split("/")[1:], DOCUMENT)


def test_what_is_sent_as_text_cannot_be_null() -> None:
    parameters = [each for operation in OPERATIONS.values() for each in operation.get("parameters", ())]
    assert parameters
    for parameter in parameters:
        assert '"null"' not in json.dumps(parameter["schema"]), parameter["name"]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_answers_show_what_is_valid(answer: dict[str, Any]) -> None:
    assert answer["headers"]["X-Request-ID"]["required"]
    for media_type, media in answer.get("content", {}).items():
        if media_type.endswith("json") and "schema" in media:
            for example in examples_of(media):
                require_valid(example, media["schema"])


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_requests_show_what_is_valid(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        for example in (*examples_of(parameter), *parameter["schema"].get("examples", ())):
            require_valid(example, parameter["schema"])
    for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
        for example in examples_of(media):
            require_valid(
                example if media_type.endswith("json") else yaml.safe_load(example), media["schema"]
            )


def test_links_lead_to_calls_that_take_what_they_bring() -> None:
    links = [link for answer in ANSWERS.values() for link in answer.get("links", {}).values()]
    assert {link["operationId"] for link in links} >= {"get_job", "get_artifact", "delete_job", "follow_job"}
    for link in links:
        taken = {parameter["name"]: parameter for parameter in BY_NAME[link["operationId"]]["parameters"]}
        needed = {name for name, parameter in taken.items() if parameter["required"]}
        assert needed <= set(link["parameters"]) <= set(taken), link
        assert link["description"]


def test_links_find_their_values_in_the_examples() -> None:
    found = 0
    for call, answer in ANSWERS.items():
        shown = answer.get("content", {}).get("application/json", {}).get("example")
        for link in answer.get("links", {}).values():
            for value in link["parameters"].values():
                if isinstance(value, str) and value.startswith("$response.body#/"):
                    path = value.removeprefix("$response.body#/").split("/")
                    reduce(
                        lambda part, name: part[int(name) if isinstance(part, list) else name], path, shown
                    )
                    found += 1
        assert shown is not None or not answer.get("links"), call
    assert found > 20


def test_keys_are_needed_where_the_service_needs_them() -> None:
    always = {call for call, operation in OPERATIONS.items() if ADMIN_TAG in operation["tags"]}
    assert always == {"POST /datasets", "POST /trainings"}
    asking = {
        call: operation["security"] for call, operation in OPERATIONS.items() if "security" in operation
    }
    for call, security in asking.items():
        assert ({} in security) == (call not in always), call
        assert "401" in OPERATIONS[call]["responses"], call
    closed = create_app(ServiceSettings(require_keys=True)).openapi()
    needed = [
        operation["security"]
        for methods in closed["paths"].values()
        for operation in methods.values()
        if "security" in operation
    ]
    assert len(needed) == len(asking)
    assert all({} not in security for security in needed)


def test_files_of_forms_say_what_they_may_hold() -> None:
    forms = [
        operation["requestBody"]["content"]["multipart/form-data"]
        for operation in OPERATIONS.values()
        if "multipart/form-data" in operation.get("requestBody", {}).get("content", {})
    ]
    assert len(forms) == 5
    for form in forms:
        schema = DOCUMENT["components"]["schemas"][form["schema"]["$ref"].rpartition("/")[2]]
        for name, encoding in form["encoding"].items():
            field = schema["properties"][name]
            assert field.get("items", field)["format"] == "binary"
            assert {"audio/wav", "audio/flac"} <= set(encoding["contentType"].split(", "))
        files = {name for name, field in schema["properties"].items() if "binary" in json.dumps(field)}
        assert files == set(form["encoding"])


def test_events_are_described_one_by_one() -> None:
    media = OPERATIONS["GET /jobs/{job_id}/events"]["responses"]["200"]["content"]["text/event-stream"]
    assert media["schema"] == sse.EVENT_SCHEMA
    fields = dict(line.split(": ", 1) for line in examples.EVENT_STREAM.strip().splitlines())
    require_valid(fields, media["schema"])
    require_valid(json.loads(fields["data"]), media["schema"]["properties"]["data"]["contentSchema"])


def test_a_cursor_looks_like_an_id() -> None:
    parameters = {each["name"]: each for each in OPERATIONS["GET /jobs"]["parameters"]}
    pattern = parameters["cursor"]["schema"]["pattern"]
    assert re.search(pattern, new_job_id())
    assert not re.search(pattern, "")


def test_refusals_that_pass_say_when_to_come_again() -> None:
    for call, answer in ANSWERS.items():
        if call.endswith((" 429", " 503")):
            assert answer["headers"]["Retry-After"]["schema"]["type"] == "integer", call
        if call.endswith(" 401"):
            assert "WWW-Authenticate" in answer["headers"], call
