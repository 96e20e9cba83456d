"""Every error has a problem document with a status that fits."""

from collections.abc import Iterator

import pytest

from ml.errors import (
    StorageError,
    StorageUnavailableError,
    TimbrescopeError,
    UnknownInstrumentError,
)
from ml.media import NoNotesError, TooLongError, UnknownFormatError
from worker import errors
from worker.problems import problem_of, problem_type, retry_after_s


def everything(cls: type[TimbrescopeError]) -> Iterator[type[TimbrescopeError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from everything(child)


@pytest.mark.parametrize("cls", dict.fromkeys(everything(TimbrescopeError)))
def test_every_error_has_a_document(cls: type[TimbrescopeError]) -> None:
    problem = problem_of(cls("One sentence.", extra={"available": ["Violin"]}))
    document = problem.document()
    assert document["type"] == f"/problems/{cls.code}"
    assert document["detail"] == "One sentence."
    assert document["available"] == ["Violin"]
    assert 400 <= problem.status < 600
    assert problem.title


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownFormatError("x"), 415),
        (TooLongError("x"), 413),
        (NoNotesError("x"), 422),
        (UnknownInstrumentError("x"), 422),
        (errors.UnknownJobError("x"), 404),
        (errors.JobExpiredError("x"), 410),
        (errors.JobDeletedError("x"), 410),
        (StorageError("x"), 507),
        (StorageUnavailableError("x"), 503),
        (errors.QueueFullError("x"), 503),
        (errors.StoreUnavailableError("x"), 503),
        (errors.InternalError("x"), 500),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_statuses(error: TimbrescopeError, status: int) -> None:
    assert problem_of(error).status == status


def test_codes_are_slugs_and_not_shared_by_strangers() -> None:
    by_code: dict[str, type[TimbrescopeError]] = {}
    for cls in set(everything(TimbrescopeError)):
        assert problem_type(cls.code) == f"/problems/{cls.code}"
        assert cls.code.replace("-", "").isalnum()
        assert cls.code == cls.code.lower()
        if "code" in vars(cls):
            assert by_code.setdefault(cls.code, cls) is cls


def test_when_to_try_again() -> None:
    assert retry_after_s(errors.QueueFullError("x")) == 10
    assert retry_after_s(NoNotesError("x")) is None
