"""Job ids are UUIDs of version 7 and sort by the time they were made."""

import time
import uuid

from worker.ids import is_job_id, new_job_id


def test_it_is_a_uuid_of_version_7() -> None:
    made = uuid.UUID(new_job_id())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_it_holds_the_time() -> None:
    before_ms = time.time_ns() // 1_000_000
    milliseconds = uuid.UUID(new_job_id()).int >> 80
    assert before_ms <= milliseconds <= time.time_ns() // 1_000_000


def test_later_ids_are_greater() -> None:
    ids = []
    for _ in range(200):
        ids.append(new_job_id())
        time.sleep(0.000_01)
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_what_an_id_looks_like() -> None:
    assert is_job_id(new_job_id())
    for text in ("", "x", str(uuid.uuid4()), new_job_id().upper(), f"{new_job_id()}\n", "../../etc/passwd"):
        assert not is_job_id(text)
