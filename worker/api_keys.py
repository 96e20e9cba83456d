"""API keys: who may ask for what, as Redis knows them.

Conventions: a key's text is `ts_<id>_<secret>`. The id is no secret: it names the key in logs and records. Of
the secret, 256 random bits, only the SHA-256 is kept, so who reads the store cannot ask with what they find.
The key that the environment sets has the id `admin` and every scope; it is in no store.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import cast

from pydantic import TypeAdapter
from redis import Redis

from ml.errors import TimbrescopeError
from worker import keys
from worker.connection import UNAVAILABLE
from worker.errors import UnauthorizedError

ADMIN_ID = "admin"
LONGEST_NAME = 100
# When a key was last used is told to the minute, which saves a write with every request.
USED_EVERY_S = 60

_TEXT = re.compile(r"ts_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Scope(StrEnum):
    """What a key may do."""

    INFER = "infer"
    ADMIN = "admin"


@dataclass(frozen=True)
class ApiKey:
    """A key without its secret. `per_minute` bounds the jobs that it may ask for; None: as all keys."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    per_minute: int | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def state(self, now: datetime) -> str:
        """Whether the key still opens anything: `valid`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


class UnknownKeyError(TimbrescopeError):
    """There is no API key of this id."""

    code = "unknown-key"


@dataclass(frozen=True)
class _Kept:
    """A key as it is stored."""

    key: ApiKey
    secret_sha256: str


_KEPT = TypeAdapter(_Kept)
# Stands for a key that there is not, so that looking for one is as much work as finding one. Nobody knows its
# secret.
_NOBODY = _KEPT.dump_json(
    _Kept(
        ApiKey("", "", frozenset(), datetime.fromtimestamp(0, UTC)),
        hashlib.sha256(secrets.token_bytes(32)).hexdigest(),
    )
)


class ApiKeys:
    """All keys. `admin_key` is the one that the environment sets, if it does."""

    def __init__(self, redis: Redis, admin_key: str | None = None) -> None:
        self._redis = redis
        self._admin_sha256 = None if admin_key is None else _sha256(admin_key)

    def create(
        self,
        name: str,
        scopes: Iterable[Scope],
        *,
        expires_at: datetime | None = None,
        per_minute: int | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its text, which cannot be had again."""
        key = ApiKey(
            id=secrets.token_hex(6),
            name=name,
            scopes=frozenset(scopes),
            created_at=datetime.now(UTC),
            expires_at=expires_at,
            per_minute=per_minute,
        )
        secret = secrets.token_urlsafe(32)
        self._keep(_Kept(key, _sha256(secret)))
        return key, f"ts_{key.id}_{secret}"

    def all(self) -> list[ApiKey]:
        """Every key that was ever made here, the oldest first; revoked and expired ones say so."""
        kept = cast(dict[bytes, bytes], self._redis.hgetall(keys.API_KEYS))
        used = cast(dict[bytes, bytes], self._redis.hgetall(keys.API_KEYS_USED))
        found = [
            replace(_KEPT.validate_json(record).key, last_used_at=_moment(used.get(key_id)))
            for key_id, record in kept.items()
        ]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    def revoke(self, key_id: str) -> ApiKey:
        """Makes a key open nothing from now on; one that was revoked before stays so.

        Raises
        ------
        UnknownKeyError
            When there is none of this id.
        """
        record = cast(bytes | None, self._redis.hget(keys.API_KEYS, key_id))
        if record is None:
            raise UnknownKeyError(f"There is no API key {key_id[:64]!r}.")
        kept = _KEPT.validate_json(record)
        if kept.key.revoked_at is None:
            kept = replace(kept, key=replace(kept.key, revoked_at=datetime.now(UTC)))
            self._keep(kept)
        return kept.key

    def any_valid(self) -> bool:
        """Whether there is a key with which somebody could ask."""
        now = datetime.now(UTC)
        return self._admin_sha256 is not None or any(key.state(now) == "valid" for key in self.all())

    def check(self, text: str) -> ApiKey:
        """The key that this is the text of. A text of no key takes as long as a wrong secret.

        Raises
        ------
        UnauthorizedError
            When it is none, or one that is expired or revoked.
        """
        if self._admin_sha256 is not None and hmac.compare_digest(_sha256(text), self._admin_sha256):
            return ApiKey(ADMIN_ID, ADMIN_ID, frozenset(Scope), created_at=datetime.fromtimestamp(0, UTC))
        matched = _TEXT.fullmatch(text)
        key_id, secret = matched.groups() if matched else ("", text)
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(keys.API_KEYS, key_id)
            pipe.hget(keys.API_KEYS_USED, key_id)
            record, used = cast(tuple[bytes | None, bytes | None], tuple(pipe.execute()))
        kept = _KEPT.validate_json(record or _NOBODY)
        if not hmac.compare_digest(_sha256(secret), kept.secret_sha256):
            raise _refused("This is not a key of this service.")
        state = kept.key.state(datetime.now(UTC))
        if state != "valid":
            raise _refused(f"This key is {state}.")
        self._note_use(key_id, used)
        return kept.key

    def _keep(self, kept: _Kept) -> None:
        self._redis.hset(keys.API_KEYS, kept.key.id, cast(str, _KEPT.dump_json(kept)))

    def _note_use(self, key_id: str, used: bytes | None) -> None:
        now_s = round(time.time())
        if used is not None and now_s - int(used) < USED_EVERY_S:
            return
        try:
            self._redis.hset(keys.API_KEYS_USED, key_id, str(now_s))
        except UNAVAILABLE:  # a full store still lets people look at their jobs
            return


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _moment(seconds: bytes | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC)


def _refused(sentence: str) -> UnauthorizedError:
    return UnauthorizedError(sentence, extra={"error": "invalid_token"})
