"""What jobs about sound do: from the recordings' bytes to artefacts and a result, by calling `ml` in order.

Conventions: a work function takes the job, the attempt (for the upload, for reports and for artefacts) and
the process's workplace, and returns the result as it stands in the job's JSON. Artefacts are stored before or
with the job's end, so that a succeeded job's links all work.
"""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from ml import artifacts
from ml.check import StemFile, check_stems, read_stems
from ml.classification import classify
from ml.explained import Explanation
from ml.explanation import explain
from ml.model import Model
from ml.recording import Recording, Stem
from ml.results import classification_result, explanation_result
from worker.attempt import Attempt, Outcome
from worker.concepts import concept_path
from worker.decoding import Decoder
from worker.errors import InternalError
from worker.jobs import Job, JobKind, artifact_path
from worker.questions import ModelRef
from worker.workplace import Workplace

JobWork = Callable[[Job, Attempt, Workplace], Outcome]


def classify_job(job: Job, attempt: Attempt, here: Workplace) -> Outcome:
    """Says which instruments play."""
    model = _model(job, attempt, here)
    recording = _recording(attempt, model, Decoder(attempt, here.sandboxes, here.settings))
    classification = classify(
        model, recording, threshold=job.parameters.threshold, on_progress=attempt.progress
    )
    _keep(attempt, artifacts.classification_artifacts(recording, classification, model.card))
    return classification_result(classification, partial(artifact_path, job.id))


def explain_job(job: Job, attempt: Attempt, here: Workplace) -> Outcome:
    """Says which instruments play, and shows why."""
    model = _model(job, attempt, here)
    decoder = Decoder(attempt, here.sandboxes, here.settings)
    recording = _recording(attempt, model, decoder)
    asked = job.parameters
    is_midi = job.input is not None and job.input.format == "midi"
    explanation = explain(
        model,
        recording,
        instruments=asked.instruments,
        n_concepts=asked.n_concepts,
        threshold=asked.threshold,
        start_s=asked.start_s,
        duration_s=asked.duration_s,
        engine=asked.engine,
        method=asked.method,
        layer=asked.layer,
        contrast=asked.contrast,
        stems=_played_stems(job, attempt, recording, decoder) if is_midi else None,
        notes=decoder.notes(_upload(attempt)) if is_midi else None,
        on_progress=attempt.progress,
    )
    return _explained(job, attempt, explanation, model, here)


def check_job(job: Job, attempt: Attempt, here: Workplace) -> Outcome:
    """Explains the mix of some stems, and holds the maps against them."""
    model = _model(job, attempt, here)
    asked, uploads = job.parameters, attempt.uploads()
    attempt.progress("decoding", 0, len(uploads))
    files = [StemFile(stem.instrument, data) for stem, data in zip(job.stems, uploads, strict=True)]
    stems = read_stems(
        files,
        sample_rate_hz=model.sample_rate_hz,
        limits=here.settings.media_limits,
        decode=Decoder(attempt, here.sandboxes, here.settings).decoded,
    )
    attempt.progress("decoding", len(uploads), len(uploads))
    explanation = check_stems(
        model,
        stems,
        n_concepts=asked.n_concepts,
        engine=asked.engine,
        method=asked.method,
        layer=asked.layer,
        on_progress=attempt.progress,
    )
    return _explained(job, attempt, explanation, model, here)


def train_job(job: Job, attempt: Attempt, here: Workplace) -> Outcome:
    """Does a piece of a training; a worker need not wait for what trains to be ready."""
    from worker.trainings import training_piece

    return training_piece(job, attempt, here)


def warm_up(model: Model) -> None:
    """Explains a second of faint noise, so that no request has to wait for imports, compilers and fonts."""
    noise = np.random.default_rng(0).normal(0.0, 0.01, model.sample_rate_hz).astype(np.float32)
    explanation = explain(
        model, Recording(noise, model.sample_rate_hz), instruments=model.card.labels[:1], n_concepts=0
    )
    for _ in artifacts.explanation_artifacts(explanation, model.card):
        pass


# A data set is not made in one attempt after the other, but by many at once: see `worker.datasets`.
WORK: dict[JobKind, JobWork] = {
    JobKind.CLASSIFY: classify_job,
    JobKind.EXPLAIN: explain_job,
    JobKind.CHECK: check_job,
    JobKind.TRAINING: train_job,
}


def _model(job: Job, attempt: Attempt, here: Workplace) -> Model:
    if job.model is None:
        raise InternalError(f"Job {job.id} is about a recording, but names no model.")
    model = here.host.model(job.model)
    if model.card.sha256 != job.model.sha256:
        attempt.use_model(ModelRef(model.card.id, model.card.sha256))
    return model


def _recording(attempt: Attempt, model: Model, decoder: Decoder) -> Recording:
    attempt.progress("decoding", 0, 1)
    recording = decoder.recording(_upload(attempt), model.sample_rate_hz)
    attempt.progress("decoding", 1, 1)
    return recording


def _upload(attempt: Attempt) -> bytes:
    (data,) = attempt.uploads()
    return data


def _played_stems(job: Job, attempt: Attempt, recording: Recording, decoder: Decoder) -> tuple[Stem, ...]:
    """What each instrument plays of a MIDI file, as far as it is to be explained."""
    asked = job.parameters
    until_s = None if asked.duration_s is None else (asked.start_s or 0.0) + asked.duration_s
    return decoder.stems(_upload(attempt), recording, until_s)


def _explained(
    job: Job, attempt: Attempt, explanation: Explanation, model: Model, here: Workplace
) -> Outcome:
    atlas = here.host.atlas(model)
    made = artifacts.explanation_artifacts(explanation, model.card, atlas=atlas, on_progress=attempt.progress)
    _keep(attempt, made)
    return explanation_result(
        explanation,
        partial(artifact_path, job.id),
        atlas=atlas,
        concept_href=partial(concept_path, model.card.id),
    )


def _keep(attempt: Attempt, made: Iterable[artifacts.Artifact]) -> None:
    for artifact in made:
        attempt.keep_for_end(artifact.name, artifact.media_type, artifact.data, artifact.sha256)
