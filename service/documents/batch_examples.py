"""Examples for the API description: what requests with several recordings are answered.

Conventions as in `service.documents.examples`.
"""

from typing import Any

from service.documents.examples import JOB_QUEUED, JOB_SUCCEEDED, problem

_NO_FORMAT: dict[str, Any] = problem(
    "unknown-format",
    "Not a supported kind of recording",
    415,
    "The file is no audio or MIDI file that is known.",
)
_REFUSED: dict[str, Any] = {"filename": "notes.txt", "problem": _NO_FORMAT}

BATCH_QUEUED: dict[str, Any] = {"jobs": [{"filename": "clip.wav", "job": JOB_QUEUED}, _REFUSED]}
BATCH_ENDED: dict[str, Any] = {"jobs": [{"filename": "clip.wav", "job": JOB_SUCCEEDED}, _REFUSED]}
NOTHING_ACCEPTED: dict[str, Any] = {
    **_NO_FORMAT,
    "detail": f"No file was accepted; 'notes.txt': {_NO_FORMAT['detail']}",
    "jobs": [_REFUSED],
}
