"""Examples for the API description: what requests for data sets and trainings are answered.

Conventions as in `service.documents.examples`.
"""

from typing import Any

from service.documents.examples import JOB_QUEUED, SHA256, problem
from service.documents.result_examples import ARTIFACTS, JOB_ID

_ORDERED: dict[str, Any] = {
    **{name: value for name, value in JOB_QUEUED.items() if name not in ("error", "links", "result")},
    "input": None,
    "model": None,
}
_AT_ITS_END: dict[str, Any] = {name: JOB_QUEUED[name] for name in ("error", "links", "result")}
_RECIPE: dict[str, Any] = {
    "name": "winds",
    "n_clips": 1000,
    "instruments": [
        "Trumpet",
        {"name": "Flute", "program": 73, "pitch_range": [60, 96]},
        {"name": "Tuba", "program": 58, "pitch_range": [28, 58]},
    ],
    "instruments_per_clip": [1, 2],
}
DATASET_REQUEST: dict[str, Any] = {"recipe": _RECIPE, "stems": False}
DATASET_REQUEST_YAML = """\
recipe:
  name: winds
  n_clips: 1000
  instruments:
    - Trumpet
    - {name: Flute, program: 73, pitch_range: [60, 96]}
    - {name: Tuba, program: 58, pitch_range: [28, 58]}
  instruments_per_clip: [1, 2]
"""
DATASET_QUEUED: dict[str, Any] = {
    **_ORDERED,
    "kind": "dataset",
    "order": {
        "recipe": _RECIPE,
        "url": "/var/lib/timbrescope/datasets/winds",
        "audio": True,
        "stems": False,
    },
    **_AT_ITS_END,
}
DATASET_RUNNING: dict[str, Any] = {
    **DATASET_QUEUED,
    "status": "running",
    "started_at": "2026-03-01T12:00:00.190000Z",
    "progress": {
        "stage": "rendering",
        "done": 400,
        "total": 1000,
        "queue_position": None,
        "per_second": 20.1,
        "left_s": 29.9,
    },
}
DATASET_SUCCEEDED: dict[str, Any] = {
    **DATASET_RUNNING,
    "status": "succeeded",
    "finished_at": "2026-03-01T12:01:01.871000Z",
    "expires_at": "2026-03-02T12:01:01.871000Z",
    "progress": {"stage": "rendering", "done": 1000, "total": 1000, "queue_position": None},
    "result": {
        "url": "/var/lib/timbrescope/datasets/winds",
        "digest": SHA256,
        "n_clips": 1000,
        "n_shards": 10,
        "labels": ["Trumpet", "Flute", "Tuba"],
        "manifest": f"{ARTIFACTS}/manifest.json",
    },
}
TRAINING_REQUEST: dict[str, Any] = {
    "dataset": JOB_ID,
    "model_id": "winds",
    "config": {"network": "default", "n_epochs": 10},
}
TRAINING_QUEUED: dict[str, Any] = {
    **_ORDERED,
    "kind": "training",
    "order": {
        "dataset_url": "/var/lib/timbrescope/datasets/winds",
        "model_id": "winds",
        "config": {"network": "default", "n_epochs": 10},
        "overwrite": False,
    },
    **_AT_ITS_END,
}
_EPOCH = {"epoch": 3, "n_epochs": 10, "train_loss": 0.21, "validation_loss": 0.24, "macro_f1": 0.91}
JOB_STOPPING: dict[str, Any] = {
    **{name: value for name, value in TRAINING_QUEUED.items() if name not in _AT_ITS_END},
    "status": "running",
    "started_at": "2026-03-01T12:00:00.190000Z",
    "progress": {"stage": "training", "done": 51, "total": 130, "queue_position": None, "metrics": _EPOCH},
    "stopping": True,
    **_AT_ITS_END,
}
TRAINING_SUCCEEDED: dict[str, Any] = {
    **TRAINING_QUEUED,
    "status": "succeeded",
    "started_at": "2026-03-01T12:00:00.190000Z",
    "finished_at": "2026-03-01T12:09:01.871000Z",
    "expires_at": "2026-03-02T12:09:01.871000Z",
    "progress": {
        "stage": "training",
        "done": 130,
        "total": 130,
        "queue_position": None,
        "metrics": {**_EPOCH, "epoch": 10},
    },
    "result": {
        "trained": {"id": "winds", "sha256": SHA256},
        "card": {"id": "winds", "task": "instruments", "network": "default"},
        "curves": f"{ARTIFACTS}/curves.png",
    },
}

PLACE_TAKEN = problem(
    "place-taken", "A job is at work there", 409, f"Job {JOB_ID} is at work on the same place.", job=JOB_ID
)
DATASET_CONFLICT = problem(
    "dataset-conflict",
    "Something else is there already",
    409,
    "/var/lib/timbrescope/datasets/winds already holds another data set; choose another place.",
)
MODEL_EXISTS = problem(
    "model-exists",
    "Something else is there already",
    409,
    "There is a model 'winds' already; `overwrite` replaces it.",
)
JOB_UNFINISHED = problem(
    "job-unfinished",
    "The job has not succeeded",
    409,
    f"Job {JOB_ID} is running; its data set is not finished.",
)
BODY_TOO_LARGE = problem(
    "body-too-large",
    "The body is too large",
    413,
    "The body is larger than 1000000 bytes.",
    max_bytes=1_000_000,
)
UNSUPPORTED_BODY = problem(
    "unsupported-body",
    "Not a supported kind of body",
    415,
    "The body has to be application/json or application/yaml, not 'text/plain'.",
)
INVALID_RECIPE = problem(
    "invalid-recipe",
    "The request makes no sense",
    422,
    "recipe.n_clips: Input should be greater than or equal to 1, not '0'.",
    errors=[{"field": "recipe.n_clips", "message": "Input should be greater than or equal to 1, not '0'"}],
)
FORBIDDEN_PLACE = problem(
    "invalid-request",
    "The request makes no sense",
    422,
    "url: '/etc/winds' is not allowed: it has to lie below one of /var/lib/timbrescope/datasets.",
    errors=[
        {"field": "url", "message": "Not allowed: it has to lie below one of /var/lib/timbrescope/datasets"}
    ],
)
INVALID_CONFIG = problem(
    "invalid-request",
    "The request makes no sense",
    422,
    "config.n_epoch: There is no such field.",
    errors=[{"field": "config.n_epoch", "message": "There is no such field"}],
)
