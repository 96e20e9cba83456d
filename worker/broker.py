"""What Celery's way to Redis is taught: to take no notice of an acknowledgement that gets lost, and to let
what is sent once more go first.

Conventions: a worker takes as many messages as it has processes, and the next one once one is acknowledged.
As kombu has it, a message whose acknowledgement fails counts as in hand for ever; so a worker that has lost
one connection at the wrong moment takes one message less from then on, and with one process none at all. Here
it is acknowledged again over a new connection, and if that fails too, it is let go: Redis gives it out once
more after the visibility timeout, and who gets it then finds its job ended.

A queue is a list in Redis: kombu puts messages in at its left end and takes them out at its right one. What
is sent once more, because somebody died at it, has waited long enough; so it goes to the right end.
"""

import logging
from typing import Any

from kombu.transport import redis as transport
from kombu.transport import virtual
from kombu.utils.json import dumps

log = logging.getLogger(__name__)

# A message that says so is the next to be taken from its queue.
NEXT_HEADER = "timbrescope_next"


class ForgetfulQoS(transport.QoS):
    """Keeps count of what a worker has in hand, whatever becomes of the connection."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledges a message; it is no longer in hand, even if Redis could not be told."""
        inner: Any = self  # whose stubs know little of it
        for is_last in (False, True):
            try:
                inner._remove_from_indices(delivery_tag).execute()
                break
            except inner.channel.connection_errors as error:
                if is_last:
                    log.warning("could not acknowledge a message", extra={"error": repr(error)})
        virtual.QoS.ack(self, delivery_tag)


class FairChannel(transport.Channel):
    """Puts what is sent once more at the head of its queue, by whomever."""

    QoS = ForgetfulQoS

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        headers = message.get("headers") or {}
        if not (headers.get(NEXT_HEADER) or headers.get("retries")):
            super()._put(queue, message, **options)
            return
        inner: Any = self
        with inner.conn_or_acquire() as client:
            client.rpush(inner._q_for_pri(queue, inner._get_message_priority(message)), dumps(message))

    def _do_restore_message(
        self, payload: Any, exchange: str, routing_key: str, pipe: Any, leftmost: bool = False
    ) -> None:
        # Where it says leftmost kombu means the head, and puts it at the other end.
        inner: Any = super()
        inner._do_restore_message(payload, exchange, routing_key, pipe, leftmost=False)


def teach() -> None:
    """From now on all connections of this process do so; Celery has no setting for it."""
    transport.Transport.Channel = FairChannel
