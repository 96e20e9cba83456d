"""The command line starts quickly, and says in one line what a person can mend."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from timbrescope import __version__

HEAVY = (
    "torch",
    "librosa",
    "numba",
    "scipy",
    "matplotlib",
    "zennit",
    "crp",
    "fluidsynth",
    "fastapi",
    "celery",
)


def timbrescope(*words: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "timbrescope", *words]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **(env or {})}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from timbrescope.cli import app\n"
        "app(['--help'], standalone_mode=False)\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print('heavy:', heavy)\n"
    )
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
    ).stdout
    assert said.splitlines()[-1] == "heavy: []"
    of_servers, offline = (
        ("up", "api", "worker", "keys"),
        ("classify", "explain", "check", "dataset", "import-folder", "train", "calibrate", "concepts"),
    )
    for command in (*of_servers, *offline, "evaluate", "concepts", "doctor"):
        assert f"│ {command} " in said


def test_no_command_shows_the_help() -> None:
    done = timbrescope()
    assert "Usage:" in done.stdout + done.stderr


def test_version() -> None:
    assert timbrescope("--version").stdout == f"timbrescope {__version__}\n"


@pytest.mark.parametrize("command", ["up", "api", "worker"])
def test_a_senseless_setting_is_one_line(command: str) -> None:
    done = timbrescope(command, env={"TIMBRESCOPE_MAX_UPLOAD_BYTES": "[big]"})
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "error: TIMBRESCOPE_MAX_UPLOAD_BYTES is '[big]': Input should be a valid integer, unable to parse"
        " string as an integer."
    ]


def test_settings_that_contradict_each_other_are_one_line() -> None:
    done = timbrescope("worker", env={"TIMBRESCOPE_VISIBILITY_TIMEOUT_S": "60"})
    assert done.returncode == 1
    assert done.stderr.startswith("error: TIMBRESCOPE_VISIBILITY_TIMEOUT_S is 60 s;")
    assert len(done.stderr.splitlines()) == 1


def test_worker_check_tells_whether_there_is_one(redis_url: str) -> None:
    done = timbrescope("worker", "--check", env={"TIMBRESCOPE_REDIS_URL": redis_url})
    assert done.returncode == 1
    assert "has announced itself" in done.stdout


def test_worker_check_without_redis_is_one_line(free_port: int) -> None:
    done = timbrescope("worker", "--check", env={"TIMBRESCOPE_REDIS_URL": f"redis://127.0.0.1:{free_port}"})
    assert done.returncode == 1
    assert done.stderr.startswith("error: Redis does not answer")


def test_doctor_speaks_json() -> None:
    done = timbrescope("doctor", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["complete"] else 1)
    assert {finding["check"] for finding in report["findings"]} == {
        "Python", "libfluidsynth", "SoundFont", "redis-server", "torch", "model", "state folder", "port",
    }  # fmt: skip
