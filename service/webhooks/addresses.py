"""Where a receiver's name leads: to the open internet only, unless the operator named an address.

Conventions: whoever runs a host's DNS may point its name at the service's own network. So the addresses are
looked at, and those that passed are connected to, without asking again.
"""

import ipaddress
import socket
from collections.abc import Sequence

from service.webhooks.receivers import Receiver, literal_address

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class RefusedAddressError(OSError):
    """A name that leads to no address that may be told."""


def addresses_of(receiver: Receiver) -> Sequence[str]:
    """The addresses to try, in this order.

    Raises
    ------
    OSError
        When the name is unknown, or leads only to where nothing may be told.
    """
    literal = literal_address(receiver.host)
    if literal is not None:
        return [str(literal)]  # allowed by this very address
    found = socket.getaddrinfo(
        receiver.host, receiver.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    fit = [address for address in addresses if _may_be_told(ipaddress.ip_address(address), receiver)]
    if not fit:
        raise RefusedAddressError(f"{receiver.host} leads to {', '.join(addresses)}, where nothing is told")
    return fit


def _may_be_told(address: Address, receiver: Receiver) -> bool:
    return address.is_loopback if receiver.is_loopback else is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address, and one that it stands for, belongs to the open internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.sixtofour is not None or address.teredo is not None:
            return False  # tunnels, to whatever they hold
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_global and not address.is_multicast
