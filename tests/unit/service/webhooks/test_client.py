"""One POST to a receiver that means no good: nothing is followed, nothing takes for ever, little is read."""

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.webhooks import client
from service.webhooks.client import FAILURES, Answer, post
from service.webhooks.receivers import Receiver
from tests.unit.service.webhooks.receiving import Reply, receiving

CONTEXT = ssl.create_default_context()
HEADERS = {"webhook-id": "msg_1"}


def at(port: int, scheme: str = "http", host: str = "127.0.0.1") -> Receiver:
    return Receiver(scheme, host, port, "/ended?for=test")


def tell(receiver: Receiver, context: ssl.SSLContext = CONTEXT) -> Answer:
    return post(receiver, b'{"type": "job.succeeded"}', HEADERS, context=context)


def test_what_a_receiver_is_told() -> None:
    with receiving(204) as receiver:
        assert tell(at(receiver.port)) == Answer(204)
        (told,) = receiver.told
    assert (told.path, told.body) == ("/ended?for=test", b'{"type": "job.succeeded"}')
    assert told.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "user-agent": "Timbrescope",
        "content-type": "application/json",
        "content-length": "25",
        "accept-encoding": "identity",
        "connection": "close",
        "webhook-id": "msg_1",
    }


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with receiving() as elsewhere, receiving(Reply(status, {"Location": elsewhere.url})) as receiver:
        assert tell(at(receiver.port)).status == status
        time.sleep(0.05)
        assert (len(receiver.told), elsewhere.told) == (1, [])


def test_nobodys_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert tell(at(receiver.port)).status == 204
        assert proxy.told == []


def test_how_long_a_receiver_asks_to_wait() -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=120)
    past = later - datetime.timedelta(hours=1)
    dates = [format_datetime(each, usegmt=True) for each in (later, past)]
    answers = [Reply(503, {"Retry-After": said}) for said in ("7", *dates, "soon", "-1", "9" * 40)]
    with receiving(*answers) as receiver:
        waits = [tell(at(receiver.port)).retry_after_s for _ in answers]
    assert waits[0] == 7.0
    assert waits[1] == pytest.approx(120.0, abs=5.0)
    assert waits[2:5] == [0.0, None, None]
    assert waits[5] == 999_999_999.0


def test_of_a_long_answer_little_is_read() -> None:
    sent = 0

    def talk(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            sent += connection.send(b"x" * 65_536)

    with talking(talk) as port:
        assert tell(at(port)) == Answer(200)
    assert sent < 50_000_000  # what the sockets hold


@pytest.mark.parametrize(
    "talk",
    [
        lambda connection: time.sleep(30),
        lambda connection: drip(connection, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1_000),
        lambda connection: drip(connection, b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
    ],
    ids=["silent", "dripping", "ever to continue"],
)
def test_a_slow_receiver_is_left(
    talk: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TOTAL_S", 0.5)
    with talking(talk) as port:
        began_s = time.monotonic()
        with pytest.raises(FAILURES):
            tell(at(port))
        assert time.monotonic() - began_s < 2.0


def test_a_receiver_that_has_answered_may_be_slow_to_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TOTAL_S", 0.5)
    with talking(lambda c: drip(c, b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x" * 900)) as port:
        assert tell(at(port)) == Answer(200)


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 " + b"x" * 100_000]
)
def test_what_is_no_answer_is_a_failure(said: bytes) -> None:
    with talking(lambda connection: connection.sendall(said)) as port, pytest.raises(FAILURES):
        tell(at(port))


def test_many_headers_are_a_failure() -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n")

    with talking(talk) as port, pytest.raises(FAILURES):
        tell(at(port))


def test_nobody_there(free_port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        tell(at(free_port))


def test_tls_needs_a_certificate_that_is_trusted_and_of_this_host(tmp_path: Path) -> None:
    authority, served = certificate(tmp_path, "localhost")
    trusting = ssl.create_default_context(cafile=str(authority))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(served)
    with receiving(wrap=lambda listener: server.wrap_socket(listener, server_side=True)) as receiver:
        assert tell(at(receiver.port, "https", "localhost"), trusting) == Answer(204)
        with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
            tell(at(receiver.port, "https", "localhost"))
        with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
            tell(at(receiver.port, "https"), trusting)
        with pytest.raises(FAILURES):
            tell(at(receiver.port, "http", "localhost"))
        assert len(receiver.told) == 1


def drip(connection: socket.socket, said: bytes, more: bytes = b"") -> None:
    """Says the last of it a byte at a time."""
    if more:
        connection.sendall(said)
    for byte in more or said:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that reads a request and then talks as the test wants; yields its port."""

    def serve() -> None:
        try:
            connection, _ = listener.accept()
            with connection:
                while b"job.succeeded" not in connection.recv(65_536):
                    pass
                talk(connection)
        except OSError:
            pass  # the client left, as it should

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A certificate that vouches for itself, alone and with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    alone, with_key = folder / "authority.pem", folder / "server.pem"
    alone.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with_key.write_bytes(alone.read_bytes() + secret)
    return alone, with_key
