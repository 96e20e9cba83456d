"""The API's description: committed as it is, complete for every route, with examples that are true to the
schemas.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml.relevance.methods import METHODS
from service.documents import (
    batch_examples,
    batch_schemas,
    concept_examples,
    concept_schemas,
    examples,
    explain_schemas,
    order_examples,
    result_examples,
    schemas,
)
from service.openapi import document_text, main
from service.submitting.orders import DatasetRequest, TrainingRequest
from service.webhooks import message
from worker.problems import MEDIA_TYPE

COMMITTED = Path(__file__).resolve().parents[3] / "openapi" / "openapi.json"

DOCUMENT: dict[str, Any] = json.loads(document_text())
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def test_the_committed_copy_is_this_one() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == document_text(), "run `make openapi`"


def test_it_can_be_written(tmp_path: Path) -> None:
    assert main([str(tmp_path / "x.json")]) == 0
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == document_text()


def test_every_call_of_the_contract_is_there() -> None:
    assert set(OPERATIONS) == {
        "GET /",
        "GET /docs",
        "GET /health/live",
        "GET /health/ready",
        "GET /instruments",
        "GET /jobs",
        "GET /jobs/{job_id}",
        "DELETE /jobs/{job_id}",
        "GET /jobs/{job_id}/artifacts/{name}",
        "GET /jobs/{job_id}/events",
        "GET /metrics",
        "GET /models",
        "GET /models/{model_id}/concepts",
        "GET /models/{model_id}/concepts/{layer}/{channel}",
        "GET /models/{model_id}/concepts/{layer}/{channel}/references/{name}",
        "POST /classify",
        "POST /classify/batch",
        "POST /datasets",
        "POST /explain",
        "POST /explain/batch",
        "POST /explain/check",
        "POST /trainings",
    }


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_route_is_described(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert {tag["name"] for tag in DOCUMENT["tags"]} >= set(operation["tags"])
    answers = operation["responses"]
    good = [answer for status, answer in answers.items() if status < "400" and "content" in answer]
    assert good
    described = [media for answer in good for media in answer["content"].values()]
    assert any("example" in media or "examples" in media for media in described)
    errors = {status: answer for status, answer in answers.items() if status >= "400"}
    assert "500" in errors
    for status, answer in errors.items():
        assert set(answer["content"]) == {MEDIA_TYPE}, status
        media = answer["content"][MEDIA_TYPE]
        assert media["schema"] == {"$ref": "#/components/schemas/ProblemDocument"}
        for example in media["examples"].values():
            assert example["value"]["status"] == int(status)
    for parameter in operation.get("parameters", []):
        assert parameter["description"], parameter["name"]


def test_operations_have_short_names_of_their_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)
    assert {"classify", "explain", "get_job"} < set(names)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(DOCUMENT["components"]["schemas"])
    assert "HTTPValidationError" not in text


def test_form_fields_are_described() -> None:
    form = DOCUMENT["components"]["schemas"]["ExplainForm"]
    assert set(form["properties"]) == {
        "file",
        "model",
        "threshold",
        "instruments",
        "concepts",
        "start_s",
        "duration_s",
        "engine",
        "method",
        "layer",
        "contrast",
        "webhook",
    }
    assert form["required"] == ["file"]
    assert all(field["description"] for field in form["properties"].values())
    assert "null" not in json.dumps(form)
    assert form["properties"]["threshold"]["maximum"] == 1
    assert all(name in form["properties"]["method"]["description"] for name in METHODS)


def test_the_fields_of_a_check_are_described() -> None:
    form = DOCUMENT["components"]["schemas"]["CheckForm"]
    assert set(form["properties"]) == {
        "stem",
        "instrument",
        "model",
        "concepts",
        "method",
        "layer",
        "engine",
        "webhook",
    }
    assert form["required"] == ["stem", "instrument"]
    assert all(field["description"] for field in form["properties"].values())
    assert "null" not in json.dumps(form)


def test_orders_are_described_with_every_field() -> None:
    schemas_ = DOCUMENT["components"]["schemas"]
    for call, name, fields in (
        ("POST /datasets", "DatasetRequest", {"recipe", "name", "url", "audio", "stems", "webhook"}),
        ("POST /trainings", "TrainingRequest", {"dataset", "model_id", "config", "overwrite", "webhook"}),
    ):
        content = OPERATIONS[call]["requestBody"]["content"]
        assert set(content) == {"application/json", "application/yaml"}
        assert {media["schema"]["$ref"] for media in content.values()} == {f"#/components/schemas/{name}"}
        assert set(schemas_[name]["properties"]) == fields
        assert all(field["description"] for field in schemas_[name]["properties"].values())
        assert OPERATIONS[call]["security"] == [{"apiKey": []}]
        assert {"401", "403", "409", "413", "415", "422"} <= set(OPERATIONS[call]["responses"])
    assert "n_clips" in schemas_["Recipe"]["properties"]
    assert "n_epochs" in schemas_["TrainingConfig"]["properties"]


def test_examples_of_orders_are_taken() -> None:
    asked = DatasetRequest.model_validate(order_examples.DATASET_REQUEST)
    from_yaml = DatasetRequest.model_validate(yaml.safe_load(order_examples.DATASET_REQUEST_YAML))
    assert from_yaml == asked
    assert TrainingRequest.model_validate(order_examples.TRAINING_REQUEST).config.n_epochs == 10


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        (schemas.JobDocument, examples.JOB_SUCCEEDED),
        (schemas.JobDocument, examples.JOB_QUEUED),
        (schemas.JobDocument, examples.JOB_CANCELLED),
        (schemas.JobDocument, order_examples.JOB_STOPPING),
        (schemas.JobDocument, order_examples.DATASET_QUEUED),
        (schemas.JobDocument, order_examples.DATASET_RUNNING),
        (schemas.JobDocument, order_examples.DATASET_SUCCEEDED),
        (schemas.JobDocument, order_examples.TRAINING_QUEUED),
        (schemas.JobDocument, order_examples.TRAINING_SUCCEEDED),
        (schemas.JobList, examples.JOB_LIST),
        (batch_schemas.BatchDocument, batch_examples.BATCH_QUEUED),
        (batch_schemas.BatchDocument, batch_examples.BATCH_ENDED),
        (schemas.JobDocument, examples.CHECK_QUEUED),
        (schemas.JobDocument, examples.CHECK_SUCCEEDED),
        (explain_schemas.ClassifyResult, result_examples.CLASSIFY_RESULT),
        (explain_schemas.ExplainResult, result_examples.EXPLAIN_RESULT),
        (explain_schemas.ExplainResult, result_examples.CHECK_RESULT),
        (schemas.ModelList, examples.MODEL_LIST),
        (concept_schemas.AtlasDocument, concept_examples.ATLAS),
        (concept_schemas.ConceptDocument, concept_examples.CONCEPT),
        (schemas.InstrumentList, examples.INSTRUMENT_LIST),
        (message.WebhookMessage, message.EXAMPLE),
    ],
)
def test_examples_are_true_to_the_schemas(schema: type[Any], example: dict[str, Any]) -> None:
    shown = schema.model_validate(example).model_dump(mode="json", by_alias=True)
    assert shown == example


def test_webhooks_are_described() -> None:
    told = DOCUMENT["webhooks"]["job-ended"]["post"]
    assert told["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/WebhookMessage"
    }
    assert {parameter["name"] for parameter in told["parameters"]} == {
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }
    assert set(told["responses"]) == {"204"}
    assert told["operationId"] not in {operation["operationId"] for operation in OPERATIONS.values()}
