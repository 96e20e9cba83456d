"""What can go wrong around a recording's process, and how the errors of the task inside it come out.

Conventions: an error travels as its class's name, its sentence and its `extra`, all JSON. Only the classes
that speak of the recording, of a parameter or of a missing program are made again; a child can raise no
others in the process that asks, and no error of more than `MAX_MESSAGE` characters.
"""

import json
from collections.abc import Iterator, Mapping
from typing import ClassVar

from ml.errors import InvalidRequestError, SystemDependencyError, TimbrescopeError
from ml.media import MediaError

MAX_MESSAGE = 2_000
MAX_EXTRA_CHARACTERS = 10_000
# What stands in a problem document or decides about its answer, and is not an error's to set.
RESERVED = frozenset({"type", "title", "status", "detail", "instance", "retry_after_s"})
_FAMILIES: tuple[type[TimbrescopeError], ...] = (MediaError, SystemDependencyError)


class SandboxError(TimbrescopeError):
    """A recording's process did not answer; trying once more may help."""


class DecoderDiedError(SandboxError):
    """The process that read the recording died of it, or had to be killed; `extra` holds the `cause`.

    The causes are "signal", "memory", "time", "exit" and "garbled"; where there is a limit, `extra` has it.
    """

    code: ClassVar[str] = "decoder-died"


class DecoderBusyError(SandboxError):
    """As many recordings are being read as may be at once, and none was done in time."""

    code: ClassVar[str] = "decoder-busy"


class SandboxUnavailableError(SandboxError):
    """No process can be started to read the recording in."""

    code: ClassVar[str] = "decoder-unavailable"


class DecoderFaultError(Exception):
    """The task inside raised what no task may raise: a fault of this program. Holds the traceback as text."""


class GarbledError(Exception):
    """A child said something that is no answer."""


def error_document(error: TimbrescopeError) -> dict[str, object]:
    """An error as it travels."""
    return {
        "kind": "error",
        "class": type(error).__name__,
        "message": str(error)[:MAX_MESSAGE],
        "extra": error.extra,
    }


def error_of(document: Mapping[str, object]) -> TimbrescopeError:
    """The error of a document from a child; raises `GarbledError` when it is none that a task may raise."""
    name, message, extra = document.get("class"), document.get("message"), document.get("extra")
    found = next((cls for cls in _may_come_out() if cls.__name__ == name), None)
    if found is None or not isinstance(message, str) or not isinstance(extra, dict):
        raise GarbledError(f"{name!r} is no error that a task raises.")
    if len(message) > MAX_MESSAGE or len(json.dumps(extra)) > MAX_EXTRA_CHARACTERS:
        raise GarbledError(f"An error of {len(message)} characters.")
    if RESERVED & extra.keys():
        raise GarbledError(f"An error that sets {sorted(RESERVED & extra.keys())}.")
    return found(message, extra=extra)


def _may_come_out() -> Iterator[type[TimbrescopeError]]:
    yield InvalidRequestError  # none of its subclasses: those are about models and jobs
    waiting = list(_FAMILIES)
    while waiting:
        cls = waiting.pop()
        yield cls
        waiting += cls.__subclasses__()
