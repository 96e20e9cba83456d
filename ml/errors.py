"""Errors that are the fault of the input or of the machine, never of this program.

Conventions: `str(error)` is one clear sentence that carries the offending value; `code` is a stable slug,
one per situation; `extra` holds optional members for machines, made of JSON values only. Where fields of what
was sent are at fault, `extra` lists them as `errors`, each with `field` and `message`, as `named` makes it.
Nothing here knows HTTP: one module elsewhere maps codes to statuses. This module imports nothing heavy, so
that every process may use it. Errors survive pickling.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import ClassVar


class TimbrescopeError(Exception):
    """Base of every error that is the input's or the machine's fault.

    Parameters
    ----------
    message : str
        One sentence for the person who sent the input, with the value that was wrong.
    extra : mapping of str to JSON values, optional
        Members for machines, for example ``{"available": ["default"]}``.
    """

    code: ClassVar[str] = "error"
    extra: dict[str, object]

    def __init__(self, message: str, *, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.extra = dict(extra) if extra is not None else {}


class InvalidRequestError(TimbrescopeError):
    """A parameter makes no sense."""

    code: ClassVar[str] = "invalid-request"


class UnknownInstrumentError(InvalidRequestError):
    """An instrument was asked for that the model does not know; `extra` holds `unknown` and `available`."""

    code: ClassVar[str] = "unknown-instrument"


class UnknownModelError(InvalidRequestError):
    """A model was asked for that does not exist; `extra` holds `unknown` and `available`."""

    code: ClassVar[str] = "unknown-model"


class UnknownMethodError(InvalidRequestError):
    """No method of relevance has this name; `extra` holds `unknown` and `available`."""

    code: ClassVar[str] = "unknown-method"


class UnknownLayerError(InvalidRequestError):
    """The model has no layer of this name to split into concepts; `extra`: `unknown` and `available`."""

    code: ClassVar[str] = "unknown-layer"


class MissingAtlasError(TimbrescopeError):
    """A model has no atlas of its concepts."""

    code: ClassVar[str] = "missing-atlas"


class UnknownConceptError(TimbrescopeError):
    """An atlas has no such layer, channel or reference; `extra` holds `unknown` and `available`."""

    code: ClassVar[str] = "unknown-concept"


class RangeRequiredError(InvalidRequestError):
    """A long recording was to be explained without saying which part of it."""

    code: ClassVar[str] = "range-required"


class ConflictError(InvalidRequestError):
    """What is asked for does not go with what is there already."""

    code: ClassVar[str] = "conflict"


class StorageError(TimbrescopeError):
    """Something cannot be written: the disk is full or the folder is not ours."""

    code: ClassVar[str] = "storage"


class StorageUnavailableError(StorageError):
    """Something cannot be read: it is missing, damaged or not ours, or where it lies cannot be reached."""

    code: ClassVar[str] = "storage-unavailable"


class SystemDependencyError(TimbrescopeError):
    """A program, library or sound bank is missing on this machine; the message says how to install it."""

    code: ClassVar[str] = "missing-dependency"


@dataclass(frozen=True)
class FieldFault:
    """What is wrong with one field of what was sent; `field` is spelt as `recipe.melody.0.works`."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def named(faults: Sequence[FieldFault]) -> dict[str, object]:
    """The `extra` of an error that names fields."""
    return {"errors": [asdict(fault) for fault in faults]}


@contextmanager
def within(field: str) -> Iterator[None]:
    """Errors that name fields name them as parts of this one, which holds what was looked at.

    Parameters
    ----------
    field : str
        For example ``recipe``; a fault of the whole already has that name, and keeps it.
    """
    try:
        yield
    except TimbrescopeError as error:
        found = error.extra.get("errors")
        if isinstance(found, list):
            faults = [FieldFault(**fault) for fault in found]
            error.extra |= named(
                [fault if fault.field == field else _below(field, fault) for fault in faults]
            )
        raise


def _below(field: str, fault: FieldFault) -> FieldFault:
    return FieldFault(f"{field}.{fault.field}", fault.message)
