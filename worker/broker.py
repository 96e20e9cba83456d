"""What Celery's way to Redis is taught: to take no notice of an acknowledgement that gets lost.

Conventions: a worker takes as many messages as it has processes, and the next one once one is acknowledged.
As kombu has it, a message whose acknowledgement fails counts as in hand for ever; so a worker that has lost
one connection at the wrong moment takes one message less from then on, and with one process none at all. Here
it is acknowledged again over a new connection, and if that fails too, it is let go: Redis gives it out once
more after the visibility timeout, and who gets it then finds its job ended.
"""

import logging
from typing import Any

from kombu.transport import redis as transport
from kombu.transport import virtual

log = logging.getLogger(__name__)


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


def teach() -> None:
    """From now on all connections of this process do so; Celery has no setting for it."""
    transport.Channel.QoS = ForgetfulQoS
