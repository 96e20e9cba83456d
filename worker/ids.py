"""Job ids: UUIDs of version 7 (RFC 9562), which sort by the time they were made.

Conventions: 48 bits of Unix milliseconds, 12 bits of the fraction of the millisecond (method 3 of section
6.2, so that ids made by one process within a millisecond keep their order), 62 random bits. Text form,
lower case.
"""

import re
import secrets
import time
import uuid

JOB_ID_PATTERN = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_PATTERN = re.compile(JOB_ID_PATTERN)


def new_job_id() -> str:
    """A fresh id, greater than every id made earlier."""
    milliseconds, remainder_ns = divmod(time.time_ns(), 1_000_000)
    fraction = (remainder_ns << 12) // 1_000_000
    value = (
        (milliseconds & ((1 << 48) - 1)) << 80
        | 0x7 << 76
        | fraction << 64
        | 0b10 << 62
        | secrets.randbits(62)
    )
    return str(uuid.UUID(int=value))


def first_id_at(milliseconds: int) -> str:
    """What no id that is made at this Unix time or later comes before."""
    return str(uuid.UUID(int=min(max(milliseconds, 0), (1 << 48) - 1) << 80))


def is_job_id(text: str) -> bool:
    """Whether `text` could be the id of a job."""
    return _PATTERN.fullmatch(text) is not None


def made_at_s(job_id: str) -> float:
    """When a job's id was made, in Unix seconds."""
    return (uuid.UUID(job_id).int >> 80) / 1000
