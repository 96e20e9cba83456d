"""Examples for the API description: what a request about one short clip is answered, from first to last.

Conventions: plain JSON values, each fit for the schema that it illustrates (a test checks that).
"""

from typing import Any

from service.documents.result_examples import CHECK_RESULT, EXPLAIN_RESULT, JOB_ID

SHA256 = "5c1f1d3a8b2e4f60718293a4b5c6d7e8f9010a1b2c3d4e5f60718293a4b5c6d7"


def problem(
    code: str, title: str, status: int, detail: str, *, instance: str | None = None, **extra: Any
) -> dict[str, Any]:
    """An example of a problem document."""
    document = {"type": f"/problems/{code}", "title": title, "status": status, "detail": detail, **extra}
    return document if instance is None else {**document, "instance": instance}


_COMMON: dict[str, Any] = {
    "id": JOB_ID,
    "kind": "explain",
    "created_at": "2026-03-01T12:00:00.125000Z",
    "input": {
        "filename": "clip.wav",
        "sha256": SHA256,
        "format": "wav",
        "duration_s": 5.0,
        "sample_rate_hz": 44100,
        "channels": 1,
    },
    "model": {"id": "default", "sha256": SHA256},
    "cached": False,
    "links": {"self": f"/jobs/{JOB_ID}", "events": f"/jobs/{JOB_ID}/events"},
}

JOB_SUMMARY: dict[str, Any] = {
    **_COMMON,
    "status": "succeeded",
    "started_at": "2026-03-01T12:00:00.190000Z",
    "finished_at": "2026-03-01T12:00:01.871000Z",
    "expires_at": "2026-03-02T12:00:01.871000Z",
    "progress": {"stage": "drawing", "done": 14, "total": 14, "queue_position": None},
    "error": None,
}

JOB_QUEUED: dict[str, Any] = {
    **_COMMON,
    "status": "queued",
    "started_at": None,
    "finished_at": None,
    "expires_at": None,
    "progress": {"stage": "queued", "done": 0, "total": 0, "queue_position": 1},
    "result": None,
    "error": None,
}

JOB_SUCCEEDED: dict[str, Any] = {**JOB_SUMMARY, "result": EXPLAIN_RESULT}

_STEMS: dict[str, Any] = {
    "input": None,
    "stems": [
        {"instrument": name, "recording": {**_COMMON["input"], "filename": f"{name.lower()}.wav"}}
        for name in ("Violin", "Trumpet")
    ],
}
CHECK_QUEUED: dict[str, Any] = {**JOB_QUEUED, **_STEMS, "kind": "check"}
CHECK_SUCCEEDED: dict[str, Any] = {**JOB_SUCCEEDED, **_STEMS, "kind": "check", "result": CHECK_RESULT}

JOB_CANCELLED: dict[str, Any] = {
    **JOB_QUEUED,
    "status": "cancelled",
    "finished_at": "2026-03-01T12:00:00.400000Z",
    "expires_at": "2026-03-02T12:00:00.400000Z",
    "progress": {"stage": "queued", "done": 0, "total": 0, "queue_position": None},
}

JOB_LIST: dict[str, Any] = {"jobs": [JOB_SUMMARY], "next": f"/jobs?limit=1&cursor={JOB_ID}"}

EVENT_STREAM = (
    "id: 1772366400190-0\n"
    "event: job\n"
    f'data: {{"id": "{JOB_ID}", "status": "running", '
    '"progress": {"stage": "attributing", "done": 3, "total": 7, "queue_position": null}}\n\n'
)

MODEL_LIST: dict[str, Any] = {
    "models": [
        {
            "id": "default",
            "sha256": SHA256,
            "default": True,
            "task": "instruments",
            "instruments": ["Violin", "Trumpet"],
            "thresholds": {"Violin": 0.5, "Trumpet": 0.45},
            "layers": ["features.conv4", "features.conv5"],
            "card": {"id": "default", "task": "instruments", "network": "default"},
        }
    ],
    "methods": [
        {
            "name": "alpha2-beta1",
            "description": "what excites counts twice, less what inhibits",
            "default": True,
        },
        {"name": "epsilon", "description": "LRP-epsilon everywhere", "default": False},
    ],
}

INSTRUMENT_LIST: dict[str, Any] = {
    "model": "default",
    "instruments": [
        {"instrument": "Violin", "threshold": 0.5},
        {"instrument": "Trumpet", "threshold": 0.45},
    ],
}

METRICS = (
    "# HELP timbrescope_queue_depth Jobs that wait.\n"
    "# TYPE timbrescope_queue_depth gauge\n"
    'timbrescope_queue_depth{queue="interactive"} 0.0\n'
)

FAULT = problem("internal-error", "A fault in the service", 500, "A fault in the service; its log says more.")
STORE_UNAVAILABLE = problem(
    "store-unavailable",
    "The store is not available",
    503,
    "The store of jobs is full; it takes nothing new until something expires or is deleted.",
)
NOT_READY = problem("no-worker", "No worker", 503, "No worker is ready at the moment.")
NO_KEY = problem(
    "unauthorized",
    "A valid API key is needed",
    401,
    "This service needs an API key with every call, as `Authorization: Bearer KEY`.",
)
WRONG_SCOPE = problem(
    "forbidden",
    "The API key may not do this",
    403,
    "This call needs an API key of scope admin; the one that was sent has infer.",
    error="insufficient_scope",
    scope="admin",
)
RATE_LIMITED = problem(
    "rate-limited",
    "Too many requests",
    429,
    "This API key may ask for 60 jobs in a minute; try again in 2 s.",
    per_minute=60,
    retry_after_s=2,
)
TOO_MANY_STREAMS = problem(
    "too-many-streams",
    "Too many event streams",
    503,
    "500 jobs are being followed already; try again in a moment.",
)
TOO_MANY_OWN_STREAMS = problem(
    "too-many-own-streams",
    "Too many event streams of one key",
    429,
    "This API key follows 100 jobs already, the most that one may.",
)
UNKNOWN_JOB = problem("unknown-job", "Unknown job", 404, f"There is no job '{JOB_ID}'.")
KEY_REUSED = problem(
    "idempotency-key-reused",
    "Idempotency-Key was used before",
    422,
    "This Idempotency-Key was sent with another request before; a new request needs a new key.",
)
KEY_IN_FLIGHT = problem(
    "idempotency-in-flight",
    "The same request is in flight",
    409,
    "A request with this Idempotency-Key is being decided at this moment.",
)
UNKNOWN_ARTIFACT = problem(
    "unknown-artifact", "Unknown artefact", 404, f"Job {JOB_ID} has no artefact 'map-kazoo.png'."
)
JOB_EXPIRED = problem(
    "job-expired", "The job has expired", 410, f"Job {JOB_ID} has expired, and its files with it."
)
BAD_BODY = problem("bad-request", "Bad Request", 400, "There was an error parsing the body")
TOO_LONG = problem(
    "too-long",
    "The recording is too large",
    413,
    "The recording lasts 3600.000 s; the limit is 600 s.",
    duration_s=3600.0,
    max_duration_s=600.0,
)
DECODER_DIED = problem(
    "decoder-died",
    "The recording broke its decoder",
    422,
    "The recording cannot be read in 1000000000 bytes of memory.",
    cause="memory",
    memory_bytes=1_000_000_000,
)
DECODER_BUSY = problem(
    "decoder-busy",
    "No recording can be read just now",
    503,
    "Too many recordings are being looked at just now; try again later.",
)
UNKNOWN_FORMAT = problem(
    "unknown-format",
    "Not a supported kind of recording",
    415,
    "The file is no audio or MIDI file that is known.",
)
UNKNOWN_INSTRUMENT = problem(
    "unknown-instrument",
    "Unknown instrument",
    422,
    "Model 'default' does not know 'Kazoo'.",
    unknown=["Kazoo"],
    available=["Violin", "Trumpet"],
)
UNKNOWN_METHOD = problem(
    "unknown-method",
    "Unknown method",
    422,
    "Unknown method 'guess'; there are alpha2-beta1, epsilon.",
    unknown="guess",
    available=["alpha2-beta1", "epsilon"],
)
UNKNOWN_LAYER = problem(
    "unknown-layer",
    "Unknown layer",
    422,
    "Model 'default' has no layer 'head' to split into concepts.",
    unknown="head",
    available=["features.conv4", "features.conv5"],
)
_DIFFERENT = (
    "Stem 2 ('trumpet.wav') has 192000 samples at 48000 Hz, but Stem 1 ('violin.wav') has 220500 samples at "
    "44100 Hz: the stems of a mix are of one length and sample rate"
)
DIFFERENT_STEMS = problem(
    "invalid-request",
    "The request makes no sense",
    422,
    f"stem.1: {_DIFFERENT}.",
    errors=[{"field": "stem.1", "message": _DIFFERENT}],
)
UNKNOWN_MODEL = problem(
    "unknown-model",
    "Unknown model",
    422,
    "There is no model 'best'.",
    unknown="best",
    available=["default", "reference"],
)
INVALID_CHANNEL = problem(
    "invalid-request",
    "The request makes no sense",
    422,
    "channel: Input should be greater than or equal to 0, not '-1'.",
    errors=[{"field": "channel", "message": "Input should be greater than or equal to 0, not '-1'"}],
)
INVALID_QUERY = problem(
    "invalid-request",
    "The request makes no sense",
    422,
    "limit: Input should be less than or equal to 100, not '1000'.",
    errors=[{"field": "limit", "message": "Input should be less than or equal to 100, not '1000'"}],
)

BEYOND_THE_END = problem(
    "range-not-satisfiable",
    "The file has no such part",
    416,
    "The file is 441044 bytes long; there is nothing at 'bytes=500000-'.",
    size_bytes=441044,
)
