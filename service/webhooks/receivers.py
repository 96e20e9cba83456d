"""Which URLs a webhook may have: those of hosts that the operator allows.

Conventions: a host is allowed by its exact name, without a port at the port that its scheme has by default.
Reasons why a URL is refused do not repeat it, since it may hold a secret.
"""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from ml.errors import FieldFault, InvalidRequestError, named

LONGEST_URL = 2_000
WEBHOOK_FIELD = (
    "A URL that is told when the job has ended, with a signed `POST`; its host has to be one of those that "
    "the service allows."
)
_LONGEST_NAME, _LONGEST_LABEL = 253, 63  # of the domain name system
_DEFAULT_PORTS = {"https": 443, "http": 80}
_FIT = re.compile(r"[!-~]+")  # no spaces, no controls, nothing that is not ASCII
_HOST = re.compile(r"(?P<name>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")


class ForbiddenReceiverError(Exception):
    """A URL that no webhook may have; says why, without the URL."""


@dataclass(frozen=True)
class Receiver:
    """Where a webhook goes: `target` is the path with the query, `host` has no brackets."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port as a request names them, and as the operator allows them."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _DEFAULT_PORTS[self.scheme] else f"{name}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is named as this machine."""
        address = literal_address(self.host)
        return self.host == "localhost" if address is None else address.is_loopback


def receiver_of(url: str, allowed: Collection[str]) -> Receiver:
    """Where a URL leads, if it may.

    Raises
    ------
    ForbiddenReceiverError
    """
    if len(url) > LONGEST_URL:
        raise ForbiddenReceiverError(f"a URL of {len(url)} characters is longer than {LONGEST_URL}")
    if not _FIT.fullmatch(url) or "\\" in url:
        raise ForbiddenReceiverError("a URL is written without spaces, in ASCII")
    try:
        parts = urlsplit(url)
        host, given_port = parts.hostname, parts.port
    except ValueError as error:
        raise ForbiddenReceiverError("this is not a URL") from error
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ForbiddenReceiverError("a URL begins with https:// and a host")
    if "@" in parts.netloc:
        raise ForbiddenReceiverError("a URL holds no name and password here")
    if "#" in url:
        raise ForbiddenReceiverError("a URL has no fragment here")
    port = _DEFAULT_PORTS[parts.scheme] if given_port is None else given_port
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    address = literal_address(host)
    receiver = Receiver(parts.scheme, host if address is None else str(address), port, target)
    if receiver.authority not in allowed:
        raise ForbiddenReceiverError(f"this service tells no webhooks at {receiver.authority}")
    if parts.scheme == "http" and not receiver.is_loopback:
        raise ForbiddenReceiverError("only https is taken here")
    return receiver


def callback_of(url: str | None, allowed: Collection[str]) -> str | None:
    """The URL of a request's field `webhook`, once it is known to be fit.

    Raises
    ------
    InvalidRequestError
        Naming the field.
    """
    if url is None:
        return None
    try:
        if not allowed:
            raise ForbiddenReceiverError("this service sends no webhooks")
        receiver_of(url, allowed)
    except ForbiddenReceiverError as error:
        fault = FieldFault("webhook", f"{error}"[0].upper() + f"{error}"[1:])
        raise InvalidRequestError(f"{fault}.", extra=named([fault])) from error
    return url


def literal_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is named by; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def normal_host(entry: str) -> str:
    """A host that an operator allows as `Receiver.authority` writes it.

    Raises
    ------
    ValueError
    """
    found = _HOST.fullmatch(entry.lower())
    if found is None or int(found["port"] or 1) not in range(1, 65_536):
        raise ValueError(f"{entry!r} is not a host such as hooks.example.org or 127.0.0.1:9000")
    name = found["name"]
    if name.startswith("["):
        name = f"[{ipaddress.IPv6Address(name[1:-1])}]"
    elif len(name) > _LONGEST_NAME or not all(0 < len(label) <= _LONGEST_LABEL for label in name.split(".")):
        raise ValueError(f"{entry!r} cannot be the name of a host")
    return name if found["port"] is None else f"{name}:{int(found['port'])}"
