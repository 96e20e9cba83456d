"""Signatures by the Standard Webhooks specification, 1.0.0.

Conventions: a secret is written as `whsec_` and the Base64 of 24 to 64 random bytes. What is signed is
`id.timestamp.body`, with HMAC-SHA256; the signature is `v1,` and its Base64. While one secret replaces
another there are two, and a message has a signature by each.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

_PREFIX = "whsec_"
_FEWEST_BYTES, _MOST_BYTES = 24, 64


def secrets_of(text: str) -> tuple[bytes, ...]:
    """The secrets of a setting, which are separated by spaces.

    Raises
    ------
    ValueError
        Without repeating what was given.
    """
    secrets = tuple(_secret(word) for word in text.split())
    if not secrets:
        raise ValueError("it is empty")
    return secrets


def signed_headers(
    secrets: Sequence[bytes], message_id: str, timestamp_s: int, body: bytes
) -> Mapping[str, str]:
    """The headers by which a receiver knows who sent a message, and when."""
    content = b".".join((message_id.encode(), str(timestamp_s).encode(), body))
    signatures = (hmac.new(secret, content, hashlib.sha256).digest() for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(each).decode()}" for each in signatures),
    }


def _secret(word: str) -> bytes:
    if not word.startswith(_PREFIX):
        raise ValueError(f"it does not begin with {_PREFIX}")
    try:
        secret = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"what follows {_PREFIX} is no Base64") from error
    if not _FEWEST_BYTES <= len(secret) <= _MOST_BYTES:
        raise ValueError(f"it holds {len(secret)} bytes, not {_FEWEST_BYTES} to {_MOST_BYTES}")
    return secret
