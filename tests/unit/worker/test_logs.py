"""Log lines can be taken apart again."""

import logging

from worker.logs import KeyValueFormatter


def line(message: str, **extra: object) -> str:
    record = logging.makeLogRecord(
        {"name": "worker", "levelname": "INFO", "msg": message, "created": 0.0, **extra}
    )
    return KeyValueFormatter().format(record)


def test_a_line() -> None:
    assert line("started", job="01a1", attempt=2) == (
        "time=1970-01-01T00:00:00.000+00:00 level=info logger=worker message=started job=01a1 attempt=2"
    )


def test_values_cannot_forge_lines() -> None:
    written = line("two words", file='a"b\nlevel=error', empty="")
    assert "\n" not in written
    assert 'message="two words"' in written
    assert r'file="a\"b\nlevel=error"' in written
    assert 'empty=""' in written


def test_a_traceback_follows_the_line() -> None:
    try:
        raise ZeroDivisionError("fault")
    except ZeroDivisionError as error:
        written = line("fault", exc_info=(type(error), error, error.__traceback__))
    first, _, rest = written.partition("\n")
    assert first.endswith("message=fault")
    assert rest.endswith("ZeroDivisionError: fault")
