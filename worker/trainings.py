"""Training a model, piece by piece, and publishing it.

Conventions: a piece is short, so that neither a person nor a time limit ever waits for an epoch; between
pieces all there is lies in the model store, below `.runs`, under the model's id. A run whose job
failed is found there by the next training of the same data with the same configuration, which goes on with
it; any other begins anew. A run that is complete says whose it is before it is published, so that a job whose
process died in that very moment is ended and not done again.
"""

import logging
import time
from dataclasses import dataclass, field, replace

from ml.checkpoint import CARD_NAME, card_bytes
from ml.dataset.storage import Storage, open_storage
from ml.errors import StorageError
from ml.model_store import CURVES_NAME, publish
from ml.training.config import parse_config
from ml.training.run import TrainingRun, open_run
from ml.training.state import EpochRecord
from worker.attempt import Attempt, Finished, Outcome, Unfinished
from worker.catalog import Catalog, model_from_card
from worker.errors import InternalError
from worker.host import with_layers
from worker.jobs import Job, artifact_path
from worker.orders import TrainingOrder
from worker.places import place_below
from worker.progress import EpochMetrics, Progress, paced
from worker.workplace import Workplace

log = logging.getLogger(__name__)

REPORT_S = 1.0
_OWNER_NAME = "finished-by"


def training_piece(job: Job, attempt: Attempt, here: Workplace) -> Outcome:
    """Does a piece of a training; the last one publishes the model."""
    order = _order(job)
    store = open_storage(here.settings.models_place)
    folder = store.child(f".runs/{order.model_id}")
    if not _is_finished_by(job, folder):
        run = _open(order, folder, here)
        if not _advance(run, job, attempt, here.settings.training_piece_s):
            return Unfinished()
        done = job.progress.done
        attempt.report(Progress("finishing", done, max(done, job.progress.total)))
        _finish(run, job, folder)
    return _publish(job, attempt, folder, store, here)


def _open(order: TrainingOrder, folder: Storage, here: Workplace) -> TrainingRun:
    if folder.exists(_OWNER_NAME):
        folder.remove_all()  # of a training that was published long since
    return open_run(
        place_below(here.settings.dataset_places, order.dataset_url, field="dataset"),
        folder,
        parse_config(dict(order.config)),
        model_id=order.model_id,
        device=here.settings.device,
        overwrite=True,
    )


def _advance(run: TrainingRun, job: Job, attempt: Attempt, piece_s: float) -> bool:
    """Whether to finish the run: it is complete, or somebody asked for what there is."""
    if job.stopping:
        return True
    reporter = _Reporter(run, attempt)
    try:
        return run.advance(piece_s, on_step=reporter.on_step, on_epoch=reporter.on_epoch)
    except _AskedToStopError:
        return True


class _AskedToStopError(Exception):
    pass


@dataclass
class _Reporter:
    """Tells how a run fares, and learns whether it should go on."""

    run: TrainingRun
    attempt: Attempt
    began_at: float = field(default_factory=time.monotonic)
    began_with: int = -1
    reported_at: float = 0.0
    n_steps: int = 0

    def on_step(self, step: int, n_steps: int) -> None:
        self.n_steps = n_steps
        done = len(self.run.epochs) * n_steps + step
        if self.began_with < 0:
            self.began_with = done - 1
        if time.monotonic() - self.reported_at >= REPORT_S:
            self._report(self._progress(done))

    def on_epoch(self, record: EpochRecord, n_epochs: int) -> None:
        last = EpochMetrics(
            record.epoch, n_epochs, record.train_loss, record.validation_loss, record.macro_f1
        )
        self._report(replace(self._progress(record.epoch * self.n_steps), metrics=last))

    def _progress(self, done: int) -> Progress:
        elapsed_s = time.monotonic() - self.began_at
        total = self.run.config.n_epochs * self.n_steps
        return paced("training", done, total, done_before=self.began_with, elapsed_s=elapsed_s)

    def _report(self, progress: Progress) -> None:
        self.reported_at = time.monotonic()
        if self.attempt.report(progress).stopping:
            raise _AskedToStopError


def _is_finished_by(job: Job, folder: Storage) -> bool:
    return folder.exists(_OWNER_NAME) and folder.read(_OWNER_NAME).decode() == job.id


def _finish(run: TrainingRun, job: Job, folder: Storage) -> None:
    stops_early = len(run.epochs) < run.config.n_epochs
    card = run.finish()
    if stops_early:
        marked = card.model_copy(update={"training": {**card.training, "stopped_early": True}})
        folder.write_whole(CARD_NAME, card_bytes(marked))
    folder.write_whole(_OWNER_NAME, job.id.encode())


def _publish(job: Job, attempt: Attempt, folder: Storage, store: Storage, here: Workplace) -> Outcome:
    attempt.keep(CURVES_NAME, "image/png", folder.read(CURVES_NAME))
    made = publish(folder, store)
    card, fields = made.card, made.card.model_dump(mode="json")
    place = here.settings.models_place
    Catalog(here.redis).publish(with_layers(model_from_card(fields, url=place, version=made.version)))
    log.info("published a model", extra={"job": job.id, "model": card.id, "sha256": card.sha256})

    def clean_up() -> None:
        try:
            folder.remove_all()
        except StorageError as error:
            log.warning("a finished run stays behind", extra={"job": job.id, "error": str(error)})

    result: dict[str, object] = {
        "trained": {"id": card.id, "sha256": card.sha256},
        "card": fields,
        "curves": artifact_path(job.id, CURVES_NAME),
    }
    return Finished(result, was_stopped=bool(card.training.get("stopped_early")), clean_up=clean_up)


def _order(job: Job) -> TrainingOrder:
    if not isinstance(job.order, TrainingOrder):
        raise InternalError(f"Job {job.id} is to train a model, but has no order for one.")
    return job.order
