"""Fingerprints: what tells whether a request was made, or a question answered, before.

Conventions: SHA-256 over canonical JSON, in hex. A *request's* fingerprint (for `worker.idempotency`) covers
what the client sent: every field, and every file's name and content; not how the form was written. A
*question's* (for `worker.result_cache`) covers what the answer depends on: the sounds, the parameters with
their defaults spelled out, the model with its card, and the program.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import version

from ml.relevance.methods import method_named
from service.intake.recordings import Upload
from worker.catalog import PublishedModel
from worker.jobs import RECORD_VERSION, JobKind
from worker.questions import Parameters


def request_fingerprint(fields: Mapping[str, object], uploads: Sequence[Upload] = ()) -> str:
    """The fingerprint of a body: its fields as plain JSON values, and its files."""
    return _digest([fields, [[upload.filename, upload.sha256] for upload in uploads]])


def whole_fingerprint(fingerprints: Sequence[str]) -> str:
    """The fingerprint of a request for several jobs, of those of its places in their order."""
    return _digest(list(fingerprints))


def question_fingerprint(
    kind: JobKind, sounds: Sequence[str], asked: Parameters, model: PublishedModel
) -> str:
    """The fingerprint of a question about sounds, each given by its hash, a stem by its instrument too."""
    model_named = [model.id, model.sha256, model.version, _digest(model.card)]
    spelled_out = asdict(_spelled_out(asked, model))
    return _digest([kind, list(sounds), spelled_out, model_named, _program(), RECORD_VERSION])


def _spelled_out(asked: Parameters, model: PublishedModel) -> Parameters:
    """The same question with the defaults that this process knows; only a worker knows the default engine."""
    start_s = asked.start_s or None
    return replace(
        asked,
        start_s=start_s if asked.duration_s is None else start_s or 0.0,
        method=method_named(asked.method).name,
        layer=asked.layer or (model.layers[-1] if model.layers else None),
    )


@cache
def _program() -> str:
    return version("timbrescope")


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
