"""Which addresses may be dialled, checked on the very address that is dialled.

The hub dials whatever a tenant's kubeconfig names, so a name must not lead it to its own machine or to the metadata
service of its cloud. A check before the connection would ask DNS a second time and may get another answer
(rebinding); so the connection resolves once, checks, and connects to what it checked. `kube.transport` puts these
pools under the official client's pool manager.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family, create_connection

from kube import hurry
from kube.hurry import HurriedSocket

# Metadata services that have an address outside the link-local range (EC2 over IPv6).
_METADATA = frozenset({IPv6Address("fd00:ec2::254")})
# RFC 6052: the last 32 bits are the IPv4 address that a translator would dial.
_NAT64 = IPv6Network("64:ff9b::/96")


class RefusedAddressError(NewConnectionError):
    """The name resolves to nothing but addresses that are never dialled."""


def refusal(address: str, *, allow_loopback: bool) -> str | None:
    """Why this IP address is not dialled, or None when it is.

    Args:
        address: An IPv4 or IPv6 address, a zone (`%eth0`) allowed.
        allow_loopback: True on a developer's machine and in tests.
    """
    plain = _embedded(ip_address(address.partition("%")[0]))
    if plain.is_link_local or plain in _METADATA:
        return "a link-local or metadata address is never dialled"
    if plain.is_multicast:
        return "a multicast address is never dialled"
    if (plain.is_loopback or plain.is_unspecified) and not allow_loopback:
        return "a loopback address is dialled only where the hub allows it"
    return None


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside an IPv6 one, where there is one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


class GuardedConnection(HTTPSConnection):
    """Resolves once and connects to an address that was checked; loopback is refused."""

    allow_loopback = False

    def _new_conn(self) -> socket.socket:
        """Connects to the first address that may be dialled and answers."""
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            reason = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(self.host, self, reason) from error
        failure: NewConnectionError | ConnectTimeoutError | None = None
        for address in dict.fromkeys(str(entry[4][0]) for entry in found):
            why = refusal(address, allow_loopback=self.allow_loopback)
            if why is not None:
                failure = failure or RefusedAddressError(self, f"{address}: {why}")
                continue
            try:
                return HurriedSocket.of(
                    create_connection(
                        (address, self.port or 443),
                        hurry.cut(self.timeout),
                        socket_options=self.socket_options,
                    )
                )
            except TimeoutError:
                failure = ConnectTimeoutError(self, f"no connection within {self.timeout} s")
            except OSError as error:
                failure = NewConnectionError(self, error.strerror or str(error))
        raise failure or NewConnectionError(self, "the name has no address")


class LoopbackConnection(GuardedConnection):
    """The same, with loopback allowed."""

    allow_loopback = True


class GuardedPool(HTTPSConnectionPool):
    """A pool of guarded connections, to the API server or to the proxy before it."""

    ConnectionCls = GuardedConnection


class LoopbackPool(HTTPSConnectionPool):
    """The same, with loopback allowed."""

    ConnectionCls = LoopbackConnection
