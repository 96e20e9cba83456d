"""The `Prefer` header (RFC 7240), of which `wait` is understood.

Conventions: preferences that are unknown or malformed are ignored, as the RFC demands; of several `wait`,
the first counts; more than `LONGEST_WAIT_S` is cut down to it.
"""

import re

LONGEST_WAIT_S = 30

_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,9})\"?\s*(?:;.*)?", re.IGNORECASE)


def wait_s(header: str | None) -> int | None:
    """For how many seconds the client would wait; None when it does not say."""
    if header is None:
        return None
    matches = (_WAIT.fullmatch(preference.strip()) for preference in header.split(","))
    return next((min(int(match.group(1)), LONGEST_WAIT_S) for match in matches if match), None)
