"""Who is answered at all: looked at before any route, by a request's head alone.

Conventions: a service that needs no keys answers only those who address it by a name of its own, so that a
web page cannot reach it by a name that it has made point here (DNS rebinding); and nothing that changes
anything is taken from a web page of another origin. What is no browser sends neither `Origin` nor
`Sec-Fetch-Site` and is asked for none. Names of hosts are compared in lower case and without ports.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ml.errors import TimbrescopeError
from service.errors import error_response
from service.settings import ServiceSettings
from worker.request_errors import (
    AddressTooLongError,
    BadRequestError,
    ForeignOriginError,
    HeadTooLargeError,
    MisdirectedError,
)

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
# More than browsers send to localhost, where the cookies of all local services come along.
MAX_HEAD_BYTES = 32 * 1024
MAX_ADDRESS_BYTES = 8 * 1024
MAX_HEADERS = 200

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_ELSEWHERE = frozenset({"cross-site", "same-site"})  # a site's other ports and subdomains are others too
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{0,5}))?")
_VERSIONS = frozenset({"1.0", "1.1"})
_LONGEST_ECHO = 100
_BYTES_AROUND_HEADER = 4  # ": " and the line's end


@dataclass(frozen=True)
class HostName:
    """What a `Host` header says."""

    name: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> "HostName | None":
        """None when it is not the name of a host."""
        found = _HOST.fullmatch(text.strip().lower())
        if found is None:
            return None
        return cls(found[1].rstrip("."), int(found[2]) if found[2] else None)


class Guard:
    """Refuses heads that are broken or too large, other hosts, and web pages of other origins."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        own = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._hosts = LOOPBACK_NAMES | {own.lower(), *settings.allowed_hosts}
        self._any_host = settings.keys_are_required and not settings.allowed_hosts
        self._origins = frozenset(settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what may be answered."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except TimbrescopeError as error:
                await error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        require_sane_head(scope)
        host = self._known_host(headers)
        if scope["method"] not in _SAFE_METHODS:
            self._require_own_page(headers, host)

    def _known_host(self, headers: Headers) -> HostName:
        given = headers.getlist("host")
        host = HostName.parse(given[0]) if len(given) == 1 else None
        if host is None:
            shown = ", ".join(given)[:_LONGEST_ECHO]
            raise BadRequestError(f"A request needs one Host header that names a host, not {shown!r}.")
        if not self._any_host and host.name not in self._hosts:
            raise MisdirectedError(
                f"This service is not {host.name[:_LONGEST_ECHO]!r}. TIMBRESCOPE_ALLOWED_HOSTS says under "
                "which names it may be addressed."
            )
        return host

    def _require_own_page(self, headers: Headers, host: HostName) -> None:
        origins = headers.getlist("origin")
        if len(origins) == 1 and origins[0].lower() in self._origins:
            return
        is_ours = all(is_same_origin(origin, host) for origin in origins)
        if not is_ours or headers.get("sec-fetch-site", "").strip().lower() in _ELSEWHERE:
            shown = origins[0][:_LONGEST_ECHO] if origins else "another site"
            raise ForeignOriginError(
                f"A web page of {shown!r} may not do this here. TIMBRESCOPE_CORS_ORIGINS says which may."
            )


def is_same_origin(origin: str, host: HostName) -> bool:
    """Whether the page and the request have the same host and port.

    The scheme is not looked at: behind a proxy that ends TLS it is another one than the page's.
    """
    try:
        parts = urlsplit(origin.lower())
        default = _PORTS[parts.scheme]
        port = default if parts.port is None else parts.port
    except (KeyError, ValueError):
        return False
    page = HostName.parse(parts.netloc)
    return page is not None and (page.name, port) == (host.name, host.port or default)


def require_sane_head(scope: Scope) -> None:
    """Refuses heads of which it is unclear what they ask for, or which are larger than any need be.

    Raises
    ------
    BadRequestError, AddressTooLongError, HeadTooLargeError
    """
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    address_bytes = len(scope["raw_path"]) + len(scope["query_string"])
    if address_bytes > MAX_ADDRESS_BYTES:
        raise AddressTooLongError(
            f"The path and the query are {address_bytes} bytes long; the limit is {MAX_ADDRESS_BYTES}."
        )
    head_bytes = sum(len(name) + len(value) + _BYTES_AROUND_HEADER for name, value in headers)
    if head_bytes > MAX_HEAD_BYTES or len(headers) > MAX_HEADERS:
        raise HeadTooLargeError(
            f"{len(headers)} headers of {head_bytes} bytes in all; the limits are {MAX_HEADERS} and "
            f"{MAX_HEAD_BYTES} bytes."
        )
    if scope["http_version"] not in _VERSIONS:
        raise BadRequestError(f"HTTP/{scope['http_version']} is not spoken here.")
    if not scope["path"].startswith("/"):
        raise BadRequestError("The address of a request has to begin with '/'.")
    names = {name for name, _ in headers}
    # Two ways to say where the body ends, or one that HTTP/1.0 does not know: a proxy on the way may have
    # taken the other one, and what one takes for a body is to the other the next request.
    if b"transfer-encoding" in names and (b"content-length" in names or scope["http_version"] == "1.0"):
        raise BadRequestError("Transfer-Encoding goes with HTTP/1.1 and without Content-Length only.")
