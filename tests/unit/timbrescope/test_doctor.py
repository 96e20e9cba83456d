"""Each check finds what is missing and says how to mend it."""

import ctypes.util
import importlib.util
import json
import socket
from collections import namedtuple
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from timbrescope import doctor
from timbrescope.doctor import Finding

OK = Finding("one", "ok", "there")
ADVICE = Finding("two", "advice", "small", "Enlarge it.")
MISSING = Finding("three", "missing", "not found", "Install it[ml].")


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    doctor.register(app)
    return app


def found(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    monkeypatch.setattr(doctor, "CHECKS", tuple((lambda finding=finding: finding) for finding in findings))


def fake_redis(folder: Path, answer: str) -> None:
    program = folder / "redis-server"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)


def test_a_complete_machine_exits_with_0(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, OK, ADVICE)
    result = CliRunner().invoke(app)
    assert result.exit_code == 0
    assert "Enlarge it." in result.stdout


def test_the_table_shows_every_word_as_it_is(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, MISSING)
    assert "Install it[ml]." in CliRunner().invoke(app).stdout


def test_something_needed_exits_with_1(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, OK, MISSING)
    result = CliRunner().invoke(app, ["--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "complete": False,
        "findings": [
            {"check": "one", "state": "ok", "detail": "there", "fix": ""},
            {"check": "three", "state": "missing", "detail": "not found", "fix": "Install it[ml]."},
        ],
    }


def test_this_machine_can_run_the_tests() -> None:
    findings = {finding.check: finding.state for finding in doctor.examine()}
    assert {check: state for check, state in findings.items() if state == "missing"} == {}


def test_an_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (99, 0))
    assert doctor.check_python().state == "missing"


def test_no_fluidsynth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    finding = doctor.check_fluidsynth()
    assert finding.state == "missing"
    assert "apt-get install libfluidsynth3" in finding.fix


def test_a_fluidsynth_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "libfluidsynth.so"
    broken.write_text("not a library")
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: str(broken))
    finding = doctor.check_fluidsynth()
    assert finding.state == "missing"
    assert "cannot be loaded" in finding.detail


def test_no_soundfont(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRESCOPE_SOUNDFONT", "/nowhere/bank.sf2")
    finding = doctor.check_soundfont()
    assert finding.state == "missing"
    assert "apt-get install fluid-soundfont-gm" in finding.fix


def test_no_redis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.check_redis().state == "missing"
    monkeypatch.setenv("TIMBRESCOPE_REDIS_URL", "redis://elsewhere")
    assert doctor.check_redis().state == "advice"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("Redis server v=7.0.15 sha=00000000:0", "ok"),
        ("Redis server v=6.0.16 sha=00000000:0", "missing"),
        ("what?", "missing"),
    ],
)
def test_redis_must_be_new_enough(
    answer: str, state: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_redis(tmp_path, answer)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.check_redis().state == state


def without(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    find = importlib.util.find_spec

    def find_others(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == absent else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_others)


@pytest.mark.parametrize("absent", ["torch", "zennit", "crp", "numba", "isal"])
def test_a_worker_without_one_of_its_libraries(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, absent)
    finding = doctor.check_torch()
    assert (finding.state, f"not installed: {absent}" in finding.detail) == ("missing", True)


def test_what_only_the_tests_need_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "librosa")
    assert doctor.check_torch().state == "ok"


def test_a_model_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIMBRESCOPE_MODELS_DIR", str(tmp_path))
    finding = doctor.check_model()
    assert finding.state == "missing"
    assert str(tmp_path / "default") in finding.detail


def test_a_state_folder_to_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIMBRESCOPE_STATE_DIR", str(tmp_path / "a" / "b"))
    assert doctor.check_state_folder().state == "ok"
    assert list(tmp_path.iterdir()) == []  # only looked


def test_a_state_folder_within_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TIMBRESCOPE_STATE_DIR", str(tmp_path / "file" / "state"))
    assert doctor.check_state_folder().state == "missing"


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setenv("TIMBRESCOPE_STATE_DIR", str(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**12, 10**12, 10**6))
    assert doctor.check_state_folder().state == "advice"


def test_a_taken_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("TIMBRESCOPE_PORT", str(taken.getsockname()[1]))
        finding = doctor.check_port()
    assert (finding.state, "Address already in use" in finding.detail) == ("advice", True)


@pytest.mark.parametrize("check", [doctor.check_model, doctor.check_state_folder, doctor.check_port])
def test_a_senseless_setting_is_a_finding(check: "doctor.Check", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRESCOPE_MAX_UPLOAD_BYTES", "many")
    finding = check()
    assert (finding.state, "TIMBRESCOPE_MAX_UPLOAD_BYTES" in finding.detail) == ("missing", True)
