"""Logs as lines of `key=value` or of JSON, the same in API and worker.

Conventions: time, level, logger, message, then the request and the job that the line is about, then what was
passed as `extra`. Which request and which job it is was said once, by `bound`, and holds for everything that
is called from there, in threads of a pool as well; a thread that is started by hand takes it along with
`carried`. No line holds file content, names of files, keys or query strings.
"""

import json
import logging
import logging.config
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

LogFormat = Literal["text", "json"]

_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_CHATTY = ("celery.app.trace", "celery.worker.strategy")

_REQUEST: ContextVar[str] = ContextVar("request", default="")
_JOB: ContextVar[str] = ContextVar("job", default="")


@contextmanager
def bound(*, request: str = "", job: str = "") -> Iterator[None]:
    """Everything that is logged meanwhile is about this request, this job, or both; empty: as before."""
    tokens = [
        (variable, variable.set(value)) for variable, value in ((_REQUEST, request), (_JOB, job)) if value
    ]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


def carried(call: Callable[[], None]) -> Callable[[], None]:
    """The call for a new thread, whose lines are about what those of this one are about now."""
    return partial(copy_context().run, call)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What a line says, in its order."""
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    about = {name: value for name, value in (("request", _REQUEST.get()), ("job", _JOB.get())) if value}
    extra = {key: value for key, value in vars(record).items() if key not in _OWN_FIELDS and key != "data"}
    return {
        "time": moment,
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
        **about,
        **extra,
    }


class KeyValueFormatter(logging.Formatter):
    """A line of `key=value` pairs; values with spaces are JSON strings, so that it can be taken apart again.

    A traceback follows on lines of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = " ".join(f"{key}={_value(value)}" for key, value in fields_of(record).items())
        if record.exc_info:
            line += f"\n{self.formatException(record.exc_info)}"
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object per line, a traceback within it as `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = fields_of(record)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


_FORMATTERS: dict[LogFormat, type[logging.Formatter]] = {"text": KeyValueFormatter, "json": JsonFormatter}


def _value(value: object) -> str:
    text = str(value)
    plain = text and not any(character.isspace() or character in '"=' for character in text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def configure_logging(level: str | int, log_format: LogFormat = "text") -> None:
    """Sends every logger's records of at least `level` to standard error."""
    configuration: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": _FORMATTERS[log_format]}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen"}},
        "loggers": {
            # What these say of each task at INFO, `worker.attempt` says of each job.
            **{name: {"level": "WARNING"} for name in _CHATTY},
            # Of the pool; it passes nothing on, and would write lines of its own kind.
            "multiprocessing": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
        },
        "root": {"level": level, "handlers": ["stderr"]},
    }
    logging.config.dictConfig(configuration)
