"""`timbrescope keys`: printed once, listed without secrets, revoked; and an API that nobody could use."""

import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from tests.unit.timbrescope.test_cli import timbrescope
from timbrescope.errors import LaunchError
from timbrescope.serving import require_a_key
from worker.api_keys import ApiKeys, Scope

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def keys(redis_url: str) -> Run:
    """Runs `timbrescope keys` against an empty Redis."""

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return timbrescope("keys", *words, env={"TIMBRESCOPE_REDIS_URL": redis_url})

    return run


@pytest.fixture
def known(redis_url: str) -> ApiKeys:
    return ApiKeys(Redis.from_url(redis_url))


def test_a_key_from_its_making_to_its_end(keys: Run, known: ApiKeys) -> None:
    made = keys(
        "create",
        "--name=The lab [1]",
        "--scope=admin",
        "--scope=infer",
        "--expires-days=2",
        "--per-minute=7",
    )
    text = made.stdout.strip()
    assert made.stdout == f"{text}\n"
    key = known.check(text)
    assert (key.name, key.scopes, key.per_minute) == ("The lab [1]", frozenset(Scope), 7)
    assert key.expires_at is not None
    assert abs(key.expires_at - datetime.now(UTC) - timedelta(days=2)) < timedelta(minutes=5)
    assert made.stderr == f"Key {key.id} (The lab [1], admin and infer), shown this once:\n"
    table = keys("list").stdout
    assert re.search(rf"{key.id} .*The lab \[1\].*admin and infer.*valid.* 7 ", table)
    (listed,) = json.loads(keys("list", "--json").stdout)
    assert (listed["id"], listed["state"], listed["scopes"]) == (key.id, "valid", ["admin", "infer"])
    secret = text.removeprefix(f"ts_{key.id}_")
    assert secret not in table + json.dumps(listed) + made.stderr
    assert keys("revoke", key.id).stdout == f"Revoked: {key.id} (The lab [1]).\n"
    (listed,) = json.loads(keys("list", "--json").stdout)
    assert listed["state"] == "revoked"


def test_a_key_infers_unless_more_is_said(keys: Run, known: ApiKeys) -> None:
    made = json.loads(keys("create", "--name", "lab", "--json").stdout)
    assert known.check(made["key"]).scopes == {Scope.INFER}
    assert (made["expires_at"], made["per_minute"], made["scopes"]) == (None, None, ["infer"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("revoke", "nobody"), "error: There is no API key 'nobody'.\n"),
        (("create", "--name", " "), "error: A key's name is 1 to 100 printable characters, not ' '.\n"),
        (("create", "--name", "a\x1b[2J"), "not 'a\\x1b[2J'.\n"),
    ],
)
def test_what_a_person_can_mend_is_one_line(keys: Run, words: tuple[str, ...], said: str) -> None:
    done = keys(*words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.endswith(said)
    assert done.stderr.count("\n") == 1


def test_without_a_service(tmp_path: Path) -> None:
    done = timbrescope("keys", "list", env={"TIMBRESCOPE_STATE_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: No `timbrescope up` runs with the state folder {tmp_path};")


def test_a_full_redis_is_one_line(keys: Run, redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.config_set("maxmemory", 1)
        try:
            done = keys("create", "--name", "lab")
        finally:
            redis.config_set("maxmemory", 0)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: Redis refuses: ")


def test_an_api_that_nobody_could_use_does_not_start(redis_url: str) -> None:
    done = timbrescope("api", "--host", "0.0.0.0", env={"TIMBRESCOPE_REDIS_URL": redis_url})
    assert done.returncode == 1
    assert done.stderr.startswith("error: The API asks for a key with every call")
    assert "TIMBRESCOPE_ADMIN_KEY" in done.stderr


def test_one_key_is_enough_and_a_silent_redis_no_reason(
    redis_url: str, known: ApiKeys, free_port: int
) -> None:
    with pytest.raises(LaunchError):
        require_a_key(redis_url)
    key, _ = known.create("lab", [Scope.INFER])
    require_a_key(redis_url)
    known.revoke(key.id)
    with pytest.raises(LaunchError):
        require_a_key(redis_url)
    require_a_key(f"redis://127.0.0.1:{free_port}/0")


@pytest.mark.parametrize("command", ["api", "up"])
def test_without_keys_only_this_machine_is_served(command: str, tmp_path: Path) -> None:
    env = {"TIMBRESCOPE_REQUIRE_KEYS": "false", "TIMBRESCOPE_STATE_DIR": str(tmp_path / "state")}
    done = timbrescope(command, "--host", "0.0.0.0", env=env)
    assert done.returncode == 1
    assert done.stderr == (
        "error: TIMBRESCOPE_REQUIRE_KEYS is false, but TIMBRESCOPE_HOST is '0.0.0.0': without keys the API "
        "listens on a loopback address only.\n"
    )
    assert list(tmp_path.iterdir()) == []
