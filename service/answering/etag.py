"""Entity tags (RFC 9110, 8.8.3): made of the content's SHA-256, and the `If-None-Match` header."""

import re

_TAG = re.compile(r'(?:W/)?("[^"]*")')


def strong_etag(sha256: str) -> str:
    """The tag of content with this hash."""
    return f'"{sha256}"'


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has this content; compared weakly, as the RFC wants for this header."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)
