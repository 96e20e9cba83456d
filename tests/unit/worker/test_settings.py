"""Settings: their defaults are the contract's, and those that would do harm are refused."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from ml.sandbox import SandboxLimits
from worker.settings import SharedSettings, WorkerSettings


def test_defaults_are_the_contract() -> None:
    settings = WorkerSettings()
    assert settings.max_upload_bytes == 50_000_000
    assert settings.max_duration_s == 600
    assert settings.max_queued_interactive == 1_000
    assert settings.max_attempts == 3
    assert settings.tombstone_ttl_s == 24 * 3600
    assert settings.media_limits.max_bytes == 50_000_000
    assert settings.media_limits.max_duration_s == 600
    assert (settings.models_dir / "default" / "model.json").is_file()


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIMBRESCOPE_REDIS_URL", "unix:///tmp/x.sock")
    monkeypatch.setenv("TIMBRESCOPE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TIMBRESCOPE_QUEUES", '["batch"]')
    monkeypatch.setenv("TIMBRESCOPE_SOUNDFONT", "")
    settings = WorkerSettings()
    assert settings.redis_url == "unix:///tmp/x.sock"
    assert settings.state_dir == tmp_path
    assert settings.queues == ("batch",)
    assert settings.soundfont is None


def test_the_state_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert SharedSettings().state_dir == tmp_path / "timbrescope"


def test_a_task_must_not_outlive_its_message() -> None:
    with pytest.raises(ValidationError, match=r"VISIBILITY_TIMEOUT_S is 600 s.*has to exceed 660 s"):
        SharedSettings(task_time_limit_s=600, visibility_timeout_s=600)


def test_a_piece_must_not_outlive_its_task() -> None:
    with pytest.raises(ValidationError, match=r"TRAINING_PIECE_S is 60 s.*50 s at most"):
        WorkerSettings(task_time_limit_s=100, training_piece_s=60)


def test_settings_travel_as_json() -> None:
    settings = WorkerSettings(soundfont="/x.sf2", threads=3)
    assert WorkerSettings.model_validate_json(settings.model_dump_json()) == settings


def test_a_recording_gets_what_the_largest_one_needs() -> None:
    assert SharedSettings().decoder_limits == SandboxLimits(1_000_000_000, cpu_s=180, wall_s=480)
    hours = SharedSettings(max_duration_s=4 * 3600.0, decoder_time_s=10).decoder_limits
    assert hours.memory_bytes > 2 * 4 * 44_100 * 4 * 3600
    assert (hours.cpu_s, hours.wall_s) == (10, 100)
    assert SharedSettings(decoder_memory_bytes=5).decoder_limits.memory_bytes == 5
