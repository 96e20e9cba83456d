"""Errors that are the fault of the input or of the machine, never of this program.

Conventions: `str(error)` is one clear sentence that carries the offending value; `code` is a stable slug,
one per situation; `extra` holds optional members for machines, made of JSON values only. Nothing here knows
HTTP: one module elsewhere maps codes to statuses. This module imports nothing heavy, so that every process
may use it. Errors survive pickling.
"""

from collections.abc import Mapping
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


class RangeRequiredError(InvalidRequestError):
    """A long recording was to be explained without saying which part of it."""

    code: ClassVar[str] = "range-required"


class ConflictError(InvalidRequestError):
    """What is asked for does not go with what is there already."""

    code: ClassVar[str] = "conflict"


class StorageError(TimbrescopeError):
    """Something cannot be written: the disk is full or the folder is not ours."""

    code: ClassVar[str] = "storage"


class SystemDependencyError(TimbrescopeError):
    """A program, library or sound bank is missing on this machine; the message says how to install it."""

    code: ClassVar[str] = "missing-dependency"
