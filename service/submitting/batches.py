"""Several recordings in one request: a job for each, decided one by one, and one answer for all.

Conventions: the entries of the answer are in the order of the files. Only one file's bytes are in memory at a
time. A file that is refused takes nothing from the others; when all are, the request is: as the first of them
that may be taken later, else as the first, and all are listed.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fastapi import UploadFile
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from ml.errors import TimbrescopeError
from service.answering.answers import POLL_AFTER_S, REPLAYED, positions_of, waited
from service.answering.prefer import wait_s
from service.documents.batch_schemas import BatchDocument, BatchEntryDocument
from service.documents.schemas import JobDocument, ProblemDocument
from service.errors import problem_response
from service.intake.recordings import Upload, display_name
from service.intake.upload_places import with_upload
from service.services import Services
from service.submitting.fingerprints import whole_fingerprint
from service.submitting.idempotent import Made, WholeRequest, begin_whole
from service.submitting.posting import Posting
from service.submitting.submission import Submission, fault_of, submit
from worker.connection import UNAVAILABLE, unavailable
from worker.errors import StoreUnavailableError
from worker.problems import problem_of, retry_after_s

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """What became of one file: a job, or what is wrong with it."""

    filename: str
    outcome: Made | TimbrescopeError


def require_files(files: Sequence[UploadFile], most: int) -> None:
    """Refuses more files than one request may have."""
    if len(files) > most:
        raise fault_of("file", f"There are {len(files)} files; one request may have {most}")


async def submit_all(
    services: Services,
    posting: Posting,
    files: Sequence[UploadFile],
    submission_of: Callable[[Upload], Submission],
) -> list[Entry]:
    """Takes the files one after the other. Once the store does not answer, the rest is refused unseen.

    Raises
    ------
    IdempotencyKeyReusedError, IdempotencyInFlightError
        When the key stands for other files or fields, or for these while they are being taken.
    """
    whole = await _begun(services, posting, files, submission_of)
    entries: list[Entry] = []
    try:
        for place, file in enumerate(files):
            if entries and isinstance(entries[-1].outcome, StoreUnavailableError):
                outcome: Made | TimbrescopeError = entries[-1].outcome
            else:
                outcome = await with_upload(_submit_one, whole, posting, file, place, submission_of)
            entries.append(Entry(display_name(file.filename), outcome))
    finally:
        await run_in_threadpool(whole.end, _made(entries))
    return entries


async def _begun(
    services: Services,
    posting: Posting,
    files: Sequence[UploadFile],
    submission_of: Callable[[Upload], Submission],
) -> WholeRequest:
    sent = [] if posting.idempotency_key is None else files
    fingerprints = [await with_upload(_fingerprint, file, submission_of) for file in sent]
    return await run_in_threadpool(begin_whole, services, posting, whole_fingerprint(fingerprints))


def _fingerprint(file: UploadFile, submission_of: Callable[[Upload], Submission]) -> str:
    try:
        return submission_of(Upload(file.filename, file.file.read())).fingerprint
    finally:
        file.file.seek(0)


def _submit_one(
    whole: WholeRequest,
    posting: Posting,
    file: UploadFile,
    place: int,
    submission_of: Callable[[Upload], Submission],
) -> Made | TimbrescopeError:
    # Read within the thread that works with it: no bytes are held while others are being read or waited for.
    upload = Upload(file.filename, file.file.read())
    try:
        whole.go_on()
        made = submit(whole.services, posting, submission_of(upload), place=place)
    except TimbrescopeError as error:
        return error
    except UNAVAILABLE as error:
        log.warning("the store does not answer", extra={"error": repr(error)})
        return unavailable(error)
    log.info("accepted", extra={"job": made.job.id, "kind": made.job.kind, "size": len(upload.data)})
    return made


async def batch_answer(services: Services, posting: Posting, entries: Sequence[Entry]) -> Response:
    """The answer: 202, or 200 when all jobs have ended; when there is no job, that of a refusal."""
    if not _made(entries):
        return _refusal(entries)
    headers = {}
    wait = wait_s(posting.prefer)
    if wait is not None:
        entries = await _waited(services, entries, wait)
        headers["Preference-Applied"] = f"wait={wait}"
    made = _made(entries)
    if all(each.is_replay for each in made):
        headers[REPLAYED] = "true"
    is_over = all(each.job.status.is_terminal for each in made)
    if not is_over:
        headers["Retry-After"] = str(POLL_AFTER_S)
    document = await run_in_threadpool(_document, services, entries)
    return JSONResponse(document, status_code=200 if is_over else 202, headers=headers)


def _made(entries: Sequence[Entry]) -> list[Made]:
    return [entry.outcome for entry in entries if isinstance(entry.outcome, Made)]


async def _waited(services: Services, entries: Sequence[Entry], wait: int) -> list[Entry]:
    deadline, after = time.monotonic() + wait, []
    for entry in entries:
        made = entry.outcome
        if isinstance(made, Made) and not made.job.status.is_terminal:
            job = await waited(services, made.job, max(deadline - time.monotonic(), 0.0))
            after.append(Entry(entry.filename, replace(made, job=job)))
        else:
            after.append(entry)
    return after


def _document(services: Services, entries: Sequence[Entry]) -> dict[str, object]:
    positions = positions_of(services, [each.job for each in _made(entries)])
    jobs = [_entry_document(entry, positions) for entry in entries]
    return BatchDocument(jobs=jobs).model_dump(mode="json", by_alias=True)


def _entry_document(entry: Entry, positions: Mapping[str, int]) -> BatchEntryDocument:
    if isinstance(entry.outcome, Made):
        job = entry.outcome.job
        return BatchEntryDocument(filename=entry.filename, job=JobDocument.of(job, positions.get(job.id)))
    problem = ProblemDocument.model_validate(problem_of(entry.outcome).document())
    return BatchEntryDocument(filename=entry.filename, problem=problem)


def _refusal(entries: Sequence[Entry]) -> Response:
    refused = [
        (each.filename, each.outcome) for each in entries if isinstance(each.outcome, TimbrescopeError)
    ]
    passing = [each for each in refused if retry_after_s(each[1]) is not None]
    name, error = (passing or refused)[0]
    problem, wait = problem_of(error), retry_after_s(error)
    listed = [{"filename": each, "problem": problem_of(fault).document()} for each, fault in refused]
    told = replace(
        problem,
        detail=f"No file was accepted; {name!r}: {problem.detail}",
        extra={**problem.extra, "jobs": listed},
    )
    return problem_response(told, headers=None if wait is None else {"Retry-After": str(wait)})
