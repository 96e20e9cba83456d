"""API keys: made once, kept as hashes, checked, expired, revoked."""

import hashlib
import hmac
import time
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from worker import api_keys, keys
from worker.api_keys import ADMIN_ID, ApiKeys, Scope, UnknownKeyError
from worker.errors import UnauthorizedError

INFER = [Scope.INFER]
ADMIN_KEY = "the-key-of-the-environment"


@pytest.fixture
def known(redis: Redis) -> ApiKeys:
    return ApiKeys(redis, ADMIN_KEY)


def refusal(known: ApiKeys, text: str) -> str:
    with pytest.raises(UnauthorizedError) as raised:
        known.check(text)
    assert raised.value.extra == {"error": "invalid_token"}
    assert text not in str(raised.value) or not text
    return str(raised.value)


def test_a_key_opens_what_it_was_made_for(known: ApiKeys) -> None:
    expires_at = datetime.now(UTC) + timedelta(days=1)
    made, text = known.create("lab", [Scope.INFER, Scope.ADMIN], expires_at=expires_at, per_minute=30)
    found = known.check(text)
    assert found == made
    assert (found.name, found.scopes, found.per_minute) == ("lab", frozenset(Scope), 30)
    assert found.state(datetime.now(UTC)) == "valid"
    assert text.startswith(f"ts_{found.id}_")
    other, _ = known.create("other", INFER)
    assert (other.scopes, other.expires_at, other.per_minute) == (frozenset({Scope.INFER}), None, None)


def test_no_secret_is_in_the_store(known: ApiKeys, redis: Redis) -> None:
    made, text = known.create("lab", INFER)
    known.check(text)
    secret = text.removeprefix(f"ts_{made.id}_")
    stored = b"".join(redis.dump(key) or b"" for key in redis.keys("*"))
    record = redis.hget(keys.API_KEYS, made.id)
    assert isinstance(record, bytes)
    assert hashlib.sha256(secret.encode()).hexdigest().encode() in record
    assert secret.encode() not in stored
    assert ADMIN_KEY.encode() not in stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "ts_",
        "ts__",
        f"{ADMIN_KEY}x",
        ADMIN_KEY[:-1],
        "ts_000000000000_" + "A" * 43,
        "ts_é_\udcff",
        "*",
    ],
)
def test_what_is_no_key(known: ApiKeys, text: str) -> None:
    assert refusal(known, text) == "This is not a key of this service."


def test_every_part_of_a_key_counts(known: ApiKeys) -> None:
    made, text = known.create("lab", INFER)
    other, others_text = known.create("other", INFER)
    swapped = text.replace(made.id, other.id)
    for wrong in (
        text[:-1],
        f"{text}A",
        f"{text}\n",
        f" {text}",
        text.swapcase(),
        swapped,
        text[3:],
        made.id,
    ):
        assert refusal(known, wrong) == "This is not a key of this service."
    assert known.check(others_text).id == other.id


def test_the_admin_key_is_of_the_environment(known: ApiKeys, redis: Redis) -> None:
    found = known.check(ADMIN_KEY)
    assert (found.id, found.scopes) == (ADMIN_ID, frozenset(Scope))
    assert known.all() == []
    refusal(ApiKeys(redis), ADMIN_KEY)


def test_expiry(known: ApiKeys) -> None:
    made, text = known.create("brief", INFER, expires_at=datetime.now(UTC) + timedelta(seconds=0.3))
    assert known.check(text).id == made.id
    time.sleep(0.4)
    assert refusal(known, text) == "This key is expired."
    assert (
        refusal(known, f"{text[:-1]}{'A' if text[-1] != 'A' else 'B'}")
        == "This is not a key of this service."
    )
    (listed,) = known.all()
    assert listed.state(datetime.now(UTC)) == "expired"


def test_revocation(known: ApiKeys) -> None:
    made, text = known.create("lab", INFER)
    revoked = known.revoke(made.id)
    assert refusal(known, text) == "This key is revoked."
    assert known.revoke(made.id) == revoked
    (listed,) = known.all()
    assert (listed.id, listed.revoked_at) == (made.id, revoked.revoked_at)
    assert listed.state(datetime.now(UTC)) == "revoked"
    with pytest.raises(UnknownKeyError, match="no API key 'nobody'"):
        known.revoke("nobody")


def test_whether_anybody_could_ask(redis: Redis) -> None:
    known = ApiKeys(redis)
    assert not known.any_valid()
    made, _ = known.create("lab", INFER)
    known.create("old", INFER, expires_at=datetime.now(UTC) - timedelta(days=1))
    assert known.any_valid()
    known.revoke(made.id)
    assert not known.any_valid()
    assert ApiKeys(redis, ADMIN_KEY).any_valid()


def test_keys_are_listed_in_the_order_in_which_they_were_made(known: ApiKeys) -> None:
    made = [known.create(name, INFER)[0] for name in "zay"]
    assert known.all() == made


def test_use_is_noted_once_a_minute(known: ApiKeys, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    made, text = known.create("lab", INFER)
    clock = 1_800_000_000.0
    monkeypatch.setattr("worker.api_keys.time.time", lambda: clock)
    for step_s, noted_s in ((0, 0), (30, 0), (29, 0), (1, 60), (59, 60), (61, 180)):
        clock += step_s
        known.check(text)
        assert known.all()[0].last_used_at == datetime.fromtimestamp(1_800_000_000 + noted_s, UTC)
    assert redis.hkeys(keys.API_KEYS_USED) == [made.id.encode()]


def test_a_full_store_still_knows_its_keys(known: ApiKeys, redis: Redis) -> None:
    made, text = known.create("lab", INFER)
    redis.config_set("maxmemory", 1)
    try:
        assert known.check(text).id == made.id
    finally:
        redis.config_set("maxmemory", 0)
    assert known.all()[0].last_used_at is None


def test_unknown_ids_are_compared_like_wrong_secrets(known: ApiKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = known.create("lab", INFER)
    compared: list[tuple[int, int]] = []

    def counting(one: str, other: str) -> bool:
        compared.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    class Counting:
        compare_digest = staticmethod(counting)

    monkeypatch.setattr(api_keys, "hmac", Counting)
    for wrong in (f"{text[:-2]}xx", "ts_000000000000_" + "A" * 43, "nothing like a key", ""):
        refusal(known, wrong)
        assert compared == [(64, 64)] * 2, wrong
        compared.clear()
