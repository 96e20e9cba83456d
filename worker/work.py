"""What the jobs do: from the recording's bytes to artefacts and a result, by calling `ml` in order.

Conventions: a work function takes the job, the attempt (for the upload, for reports and for artefacts) and
the process's workplace, and returns the result as it stands in the job's JSON. Artefacts are stored before it
returns, so that a succeeded job's links all work.
"""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from ml import artifacts
from ml.classification import classify
from ml.explanation import explain
from ml.model import Model
from ml.recording import Recording, load_recording
from worker.attempt import Attempt, Outcome
from worker.errors import InternalError
from worker.jobs import Job, JobKind, artifact_path
from worker.questions import ModelRef
from worker.settings import WorkerSettings
from worker.trainings import training_piece
from worker.workplace import Workplace

JobWork = Callable[[Job, Attempt, Workplace], Outcome]


def classify_job(job: Job, attempt: Attempt, here: Workplace) -> Outcome:
    """Says which instruments play."""
    model = _model(job, attempt, here)
    recording = _recording(attempt, model, here.settings)
    classification = classify(
        model, recording, threshold=job.parameters.threshold, on_progress=attempt.progress
    )
    _keep(attempt, artifacts.classification_artifacts(recording))
    return artifacts.classification_result(classification)


def explain_job(job: Job, attempt: Attempt, here: Workplace) -> Outcome:
    """Says which instruments play, and shows why."""
    model = _model(job, attempt, here)
    recording = _recording(attempt, model, here.settings)
    asked = job.parameters
    explanation = explain(
        model,
        recording,
        instruments=asked.instruments,
        n_concepts=asked.n_concepts,
        threshold=asked.threshold,
        start_s=asked.start_s,
        duration_s=asked.duration_s,
        engine=asked.engine,
        on_progress=attempt.progress,
    )
    _keep(attempt, artifacts.explanation_artifacts(explanation, on_progress=attempt.progress))
    return artifacts.explanation_result(explanation, partial(artifact_path, job.id))


def warm_up(model: Model) -> None:
    """Explains a second of faint noise, so that no request has to wait for imports, compilers and fonts."""
    noise = np.random.default_rng(0).normal(0.0, 0.01, model.sample_rate_hz).astype(np.float32)
    explanation = explain(
        model, Recording(noise, model.sample_rate_hz), instruments=model.card.labels[:1], n_concepts=0
    )
    for _ in artifacts.explanation_artifacts(explanation):
        pass


# A data set is not made in one attempt after the other, but by many at once: see `worker.datasets`.
WORK: dict[JobKind, JobWork] = {
    JobKind.CLASSIFY: classify_job,
    JobKind.EXPLAIN: explain_job,
    JobKind.TRAINING: training_piece,
}


def _model(job: Job, attempt: Attempt, here: Workplace) -> Model:
    if job.model is None:
        raise InternalError(f"Job {job.id} is about a recording, but names no model.")
    model = here.host.model(job.model)
    if model.card.sha256 != job.model.sha256:
        attempt.use_model(ModelRef(model.card.id, model.card.sha256))
    return model


def _recording(attempt: Attempt, model: Model, settings: WorkerSettings) -> Recording:
    attempt.progress("decoding", 0, 1)
    (data,) = attempt.uploads()
    recording = load_recording(
        data,
        sample_rate_hz=model.sample_rate_hz,
        limits=settings.media_limits,
        soundfont=settings.soundfont,
        on_progress=attempt.progress,
    )
    attempt.progress("decoding", 1, 1)
    return recording


def _keep(attempt: Attempt, made: Iterable[artifacts.Artifact]) -> None:
    for artifact in made:
        attempt.keep(artifact.name, artifact.media_type, artifact.data)
