"""Log lines can be taken apart again, and name the request and the job that they are about."""

import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from worker.logs import JsonFormatter, KeyValueFormatter, LogFormat, bound, carried, configure_logging


def record(message: str, **extra: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "worker", "levelname": "INFO", "msg": message, "created": 0.0, **extra}
    )


def line(message: str, **extra: object) -> str:
    return KeyValueFormatter().format(record(message, **extra))


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
        fault = record("fault", exc_info=(type(error), error, error.__traceback__))
    first, _, rest = KeyValueFormatter().format(fault).partition("\n")
    assert first.endswith("message=fault")
    assert rest.endswith("ZeroDivisionError: fault")
    fields = json.loads(JsonFormatter().format(fault))
    assert fields["exception"].endswith("ZeroDivisionError: fault")


def test_a_line_of_json() -> None:
    written = JsonFormatter().format(record('a "b"\n', status=200, reason=ValueError("no")))
    assert "\n" not in written
    assert json.loads(written) == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "info",
        "logger": "worker",
        "message": 'a "b"\n',
        "status": 200,
        "reason": "no",
    }


def test_lines_say_what_they_are_about() -> None:
    with bound(request="r1"):
        with bound(job="j1"):
            assert line("within").endswith("message=within request=r1 job=j1")
            with bound(job="j2", request=""):
                assert line("deeper").endswith("request=r1 job=j2")
            assert line("said", job="j3").endswith("request=r1 job=j3")
        assert line("between").endswith("message=between request=r1")
    assert line("after").endswith("message=after")


def test_threads_say_so_too() -> None:
    lines = []
    with bound(request="r1", job="j1"):
        thread = threading.Thread(target=carried(lambda: lines.append(line("beside"))))
        with ThreadPoolExecutor(1) as pool:
            lines.append(pool.submit(copy_context().run, line, "pool").result())
    thread.start()  # the line is about what it was started for, even if it comes later
    thread.join()
    assert [text.endswith("request=r1 job=j1") for text in lines] == [True, True]


@pytest.mark.parametrize(
    ("log_format", "expected"), [("text", "message=hello"), ("json", '"message": "hello"')]
)
def test_the_format_is_a_choice(
    capsys: pytest.CaptureFixture[str], log_format: LogFormat, expected: str, unchanged_logging: None
) -> None:
    configure_logging("INFO", log_format)
    logging.getLogger("worker.test").info("hello")
    assert expected in capsys.readouterr().err


@pytest.fixture
def unchanged_logging() -> Iterator[None]:
    """Gives the root logger back what it had."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before[0], before[1]
