"""Logs as lines of `key=value`, the same in API and worker.

Conventions: time, level, logger, message, then what was passed as `extra`. Values with spaces are quoted
as JSON strings, so that a line can be taken apart again.
"""

import json
import logging
import logging.config
from datetime import UTC, datetime

_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_CHATTY = ("celery.app.trace", "celery.worker.strategy")


class KeyValueFormatter(logging.Formatter):
    """Formats a record as `key=value` pairs."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        extra = {
            key: value for key, value in vars(record).items() if key not in _OWN_FIELDS and key != "data"
        }
        fields = {
            "time": moment,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **extra,
        }
        line = " ".join(f"{key}={_value(value)}" for key, value in fields.items())
        if record.exc_info:
            line += f"\n{self.formatException(record.exc_info)}"
        return line


def _value(value: object) -> str:
    text = str(value)
    plain = text and not any(character.isspace() or character in '"=' for character in text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def configure_logging(level: str | int) -> None:
    """Sends every logger's records of at least `level` to standard error."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"key_value": {"()": KeyValueFormatter}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "key_value"}},
            # What these say of each task at INFO, `worker.attempt` says of each job.
            "loggers": {name: {"level": "WARNING"} for name in _CHATTY},
            "root": {"level": level, "handlers": ["stderr"]},
        }
    )
