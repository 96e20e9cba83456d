"""HTTP/1.1 as uvicorn speaks it, with an end to everything that a client may leave unfinished.

Conventions: a connection is closed when a request's head is not whole after `header_timeout_s`, when a client
still sends `LINGER_S` after it was answered, and when it takes nothing of an answer for `STALLED_S`. What an
answered client still sends is dropped: were the connection closed at once, it would be reset, and the answer
perhaps never read. How long a body may take that is still wanted is for `service.edge.body_timeouts`. What
cannot be taken for a request is answered with a problem document as well, without the application hearing
of it. Every request begins with an empty context: what one has said of itself, for logs and traces, holds
for no other.
"""

import asyncio
import contextvars
import secrets
import sys
from collections.abc import Callable
from typing import Any, cast

import h11
import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ml.errors import TimbrescopeError
from service.edge.guard import MAX_HEAD_BYTES
from service.edge.security_headers import add_security_headers
from service.edge.settings import EdgeSettings
from service.errors import error_response
from worker.request_errors import (
    BadRequestError,
    HeadTimedOutError,
    HeadTooLargeError,
    TooManyConnectionsError,
)

LINGER_S = 10.0
STALLED_S = 60.0


class EdgeConfig(uvicorn.Config):
    """uvicorn's configuration and, for the protocol, the settings of the edge."""

    def __init__(self, app: ASGIApp, settings: EdgeSettings, **more: object) -> None:
        self.edge = settings
        super().__init__(
            app,
            http=EdgeProtocol,
            ws="none",
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            **more,  # type: ignore[arg-type]
        )


class EdgeProtocol(H11Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called when a client has connected."""
        self._is_ending = False
        self._wire = transport
        super().connection_made(cast(asyncio.Transport, _HeldOpen(transport, self)))
        edge = cast(EdgeConfig, self.config).edge
        self._head = _Timer(edge.header_timeout_s, self._on_late_head)
        self._linger = _Timer(LINGER_S, self._wire.abort)
        self._stalled = _Timer(STALLED_S, self._wire.abort)
        if len(self.connections) > edge.max_connections:
            self.app = _refusing(edge.max_connections)
        self._head.start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the connection has ended, whoever ended it."""
        for timer in (self._head, self._linger, self._stalled):
            timer.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Called with whatever arrives."""
        if not self._is_ending:
            super().data_received(data)
            self._watch()

    def handle_events(self) -> None:
        """Called when there may be a request to begin: within an earlier one of the connection, too."""
        contextvars.Context().run(super().handle_events)

    def on_response_complete(self) -> None:
        """Called when an answer has been sent."""
        super().on_response_complete()
        self._watch()

    def shutdown(self) -> None:
        """Called when the server stops."""
        if self._is_ending:
            self._wire.abort()
        else:
            super().shutdown()

    @property
    def is_ending(self) -> bool:
        """Whether the last answer on this connection was given."""
        return self._is_ending or self._wire.is_closing()

    def end(self) -> None:
        """Ends the connection; when the client is still within a body, not before it stops sending."""
        if self.is_ending:
            return
        if self.conn.their_state is h11.SEND_BODY:
            self._hear_out()
        else:
            self._wire.close()

    def _hear_out(self) -> None:
        if not self._wire.can_write_eof():  # TLS
            self._wire.close()
            return
        self._is_ending = True
        self._head.stop()
        self._wire.write_eof()
        self.flow.resume_reading()
        self._linger.start()

    def pause_writing(self) -> None:
        """Called when the client does not keep up with what is sent."""
        super().pause_writing()
        self._stalled.start()

    def resume_writing(self) -> None:
        """Called when it has caught up."""
        self._stalled.stop()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no request."""
        fault = sys.exception()  # called where it is handled
        if isinstance(fault, h11.RemoteProtocolError) and fault.error_status_hint == 431:
            self._refuse(HeadTooLargeError(f"The head is larger than {MAX_HEAD_BYTES} bytes."))
        else:
            self._refuse(BadRequestError("This is not HTTP/1.1, or its framing is broken."))

    def _watch(self) -> None:
        """Starts and stops the time that the client has for what it owes."""
        if self.transport.is_closing():
            return
        is_between = self.conn.their_state is h11.IDLE
        # Between requests, silence is for the keep-alive time-out; this one begins with the next request.
        if is_between and self.timeout_keep_alive_task is None:
            self._head.start()
        elif not is_between:
            self._head.stop()
        if self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE:
            self._linger.start()
        else:
            self._linger.stop()

    def _on_late_head(self) -> None:
        edge = cast(EdgeConfig, self.config).edge
        received, _ = self.conn.trailing_data
        if received and not self.transport.is_closing():
            self._refuse(HeadTimedOutError(f"The head was not whole after {edge.header_timeout_s:g} s."))
        else:
            self.transport.close()

    def _refuse(self, error: TimbrescopeError) -> None:
        """Answers without the application, and ends the connection."""
        is_answering = self.conn.our_state in (h11.SEND_RESPONSE, h11.SEND_BODY)
        if is_answering:  # the framing is broken within a body: who reads it hears that the client has left
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(self._problem(error))
            self._hear_out()
        else:
            self._wire.close()

    def _problem(self, error: TimbrescopeError) -> bytes:
        response = _ending_response(error)
        head = h11.Response(status_code=response.status_code, headers=response.raw_headers)
        events = (head, h11.Data(data=bytes(response.body)), h11.EndOfMessage())
        return b"".join(self.conn.send(event) or b"" for event in events)


def _ending_response(error: TimbrescopeError) -> Response:
    """The answer to an error after which the connection is closed, with all its headers."""
    response = error_response(error)
    response.headers["Connection"] = "close"
    response.headers["X-Request-ID"] = secrets.token_hex(8)
    add_security_headers(response.headers)
    return response


def _refusing(max_connections: int) -> ASGIApp:
    """Answers in place of the application on connections beyond the bound."""
    error = TooManyConnectionsError(
        f"More than {max_connections} connections are open; try again in a moment."
    )

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await _ending_response(error)(scope, receive, send)

    return refuse


class _HeldOpen:
    """A connection's transport, which its protocol decides when to close."""

    def __init__(self, wire: asyncio.Transport, protocol: EdgeProtocol) -> None:
        self._wire = wire
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)

    def is_closing(self) -> bool:
        return self._protocol.is_ending

    def close(self) -> None:
        self._protocol.end()


class _Timer:
    """Something that happens unless it is stopped in time; starting it again does not put it off."""

    def __init__(self, delay_s: float, call: Callable[[], None]) -> None:
        self._delay_s = delay_s
        self._call = call
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(self._delay_s, self._call)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
