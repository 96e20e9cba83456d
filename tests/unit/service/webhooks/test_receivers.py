"""Which URLs a webhook may have, which settings there may be, and which addresses a name may lead to."""

import ipaddress
import socket
from typing import Any

import pytest
from pydantic import ValidationError

from ml.errors import InvalidRequestError
from service.settings import ServiceSettings
from service.webhooks.addresses import RefusedAddressError, addresses_of, is_public
from service.webhooks.receivers import ForbiddenReceiverError, Receiver, callback_of, receiver_of
from tests.unit.service.webhooks.receiving import SECRET

ALLOWED = frozenset(
    {"hooks.example.org", "hooks.example.org:8443", "10.0.0.5", "127.0.0.1:9000", "[::1]:9000"}
)


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("https://hooks.example.org", Receiver("https", "hooks.example.org", 443, "/")),
        ("https://HOOKS.example.org:443/a/b?c=d", Receiver("https", "hooks.example.org", 443, "/a/b?c=d")),
        ("https://hooks.example.org:8443/x", Receiver("https", "hooks.example.org", 8443, "/x")),
        ("https://10.0.0.5/", Receiver("https", "10.0.0.5", 443, "/")),
        ("http://127.0.0.1:9000/x", Receiver("http", "127.0.0.1", 9000, "/x")),
        ("http://[0:0::1]:9000/x", Receiver("http", "::1", 9000, "/x")),
    ],
)
def test_what_may_be_told(url: str, receiver: Receiver) -> None:
    assert receiver_of(url, ALLOWED) == receiver
    assert callback_of(url, ALLOWED) == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example.org/", "only https"),
        ("http://10.0.0.5/", "only https"),
        ("https://example.org/", "tells no webhooks at example.org"),
        ("https://a.hooks.example.org/", "tells no webhooks"),
        ("https://hooks.example.org./", "tells no webhooks"),
        ("https://hooks.example.org:444/", "tells no webhooks at hooks.example.org:444"),
        ("https://hooks.example.org:80/", "tells no webhooks"),
        ("https://127.0.0.1:9001/", "tells no webhooks"),
        ("https://2130706433:9000/", "tells no webhooks"),
        ("https://127.1:9000/", "tells no webhooks"),
        ("https://hooks.example.org@example.com/", "no name and password"),
        ("https://user:word@hooks.example.org/", "no name and password"),
        ("https://@hooks.example.org/", "no name and password"),
        ("https://hooks.example.org/#x", "no fragment"),
        ("https://hooks.example.org/#", "no fragment"),
        ("https://hooks.example.org\\@example.com/", "in ASCII"),
        ("https://hooks.example.org/a b", "without spaces"),
        ("https://hooks.example.org/\r\nX-Evil: 1", "without spaces"),
        ("https://hooks.example.org/\x00", "without spaces"),
        ("https://hööks.example.org/", "in ASCII"),
        ("https://hooks.example.org:99999/", "not a URL"),
        ("https://[::1", "not a URL"),
        ("ftp://hooks.example.org/", "begins with https://"),
        ("file:///etc/passwd", "begins with https://"),
        ("//hooks.example.org/", "begins with https://"),
        ("https:///x", "begins with https://"),
        ("https://hooks.example.org/" + "x" * 2_000, "longer than 2000"),
    ],
)
def test_what_may_not_be_told(url: str, reason: str) -> None:
    with pytest.raises(ForbiddenReceiverError, match=reason):
        receiver_of(url, ALLOWED)
    with pytest.raises(InvalidRequestError) as refused:
        callback_of(url, ALLOWED)
    faults: Any = refused.value.extra["errors"]
    assert [fault["field"] for fault in faults] == ["webhook"]
    assert url not in str(refused.value)


def test_without_hosts_there_are_no_webhooks() -> None:
    assert callback_of(None, frozenset()) is None
    with pytest.raises(InvalidRequestError, match="This service sends no webhooks"):
        callback_of("https://hooks.example.org/", frozenset())


@pytest.mark.parametrize(
    ("hosts", "normal"),
    [
        (["Hooks.Example.ORG", "a:8443"], ("hooks.example.org", "a:8443")),
        (["127.0.0.1:09000", "[0::1]:80"], ("127.0.0.1:9000", "[::1]:80")),
    ],
)
def test_hosts_are_normal(hosts: list[str], normal: tuple[str, ...]) -> None:
    assert ServiceSettings(webhook_hosts=hosts, webhook_secret=SECRET).webhook_hosts == normal


@pytest.mark.parametrize(
    "host",
    [
        *("https://a", "a/b", "a:", "a:0", "a:70000", "*", "*.example.org", "", "-a", "a b", "[x]", "[::1"),
        *("a..b", "a" * 64, ".".join(["a" * 60] * 5), "user@a", "a.", "ä"),
    ],
)
def test_other_hosts_are_refused(host: str) -> None:
    with pytest.raises(ValidationError):
        ServiceSettings(webhook_hosts=(host,), webhook_secret=SECRET)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (None, "WEBHOOK_SECRET is not"),
        ("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "does not begin with whsec_"),
        ("whsec_no-base64!", "no Base64"),
        ("whsec_c2hvcnQ=", "holds 5 bytes, not 24 to 64"),
        (" ", "is empty"),
        (f"{SECRET} whsec_c2hvcnQ=", "holds 5 bytes"),
    ],
)
def test_messages_can_be_signed_or_it_does_not_start(secret: str | None, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as refused:
        ServiceSettings(webhook_hosts=("a",), webhook_secret=secret)
    told = refused.value.errors(include_input=False, include_context=False)
    assert secret is None or not secret.strip() or secret not in str(told)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
    ],
)
def test_addresses_of_the_open_internet(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) == public


def leads_to(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    """What the system's resolver says of any name."""

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_a_name_that_leads_inside_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = receiver_of("https://hooks.example.org/", ALLOWED)
    leads_to(monkeypatch, "169.254.169.254", "10.0.0.5", "::1")
    with pytest.raises(
        RefusedAddressError, match=r"hooks\.example\.org leads to 169\.254\.169\.254, 10\.0\.0\.5"
    ):
        addresses_of(receiver)
    leads_to(monkeypatch, "10.0.0.5", "93.184.216.34", "93.184.216.34")
    assert addresses_of(receiver) == ["93.184.216.34"]


def test_this_machine_is_told_where_it_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    leads_to(monkeypatch, "127.0.0.1", "10.0.0.1")
    assert addresses_of(Receiver("http", "localhost", 80, "/")) == ["127.0.0.1"]
    leads_to(monkeypatch)
    assert addresses_of(Receiver("https", "10.0.0.5", 443, "/")) == ["10.0.0.5"]
