"""Addresses that an admin may hand us to dial: what a URL must not be.

Called by `schemas.connection_bodies`. The hub and the agent dial these with credentials at hand, so an address that leads
to the machine itself, or to a cloud's metadata service, is refused as far as the text alone can tell.
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?", re.ASCII)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_AWS_METADATA = IPv6Address("fd00:ec2::254")


def refusal(
    url: str, *, schemes: tuple[str, ...], allow_loopback: bool, plain_on_loopback: bool = False
) -> str | None:
    """What is wrong with `url`, on one short line that does not repeat it; None when it may be dialled.

    Args:
        url: what was sent.
        schemes: the schemes that are served, such as `("https",)`.
        allow_loopback: whether this machine itself may be meant (for development).
        plain_on_loopback: whether `http` will do for loopback, where that is allowed.
    """
    try:
        parts = urlsplit(url)
        zero_port = parts.port == 0
    except ValueError:
        return "is not a URL"
    host = parts.hostname or ""
    loopback = is_loopback(host)
    if (_address(host) is None and _HOST.fullmatch(host) is None) or zero_port:
        problem = "is not a URL with a host"
    elif "@" in parts.netloc:
        problem = "holds a user name or password; leave them out of the URL"
    elif parts.query or parts.fragment or not url.isprintable() or " " in url:
        problem = "holds a query, a fragment or a blank; leave them out"
    elif loopback and not allow_loopback:
        problem = "is a loopback address, which would be the hub itself"
    elif not loopback and _is_metadata(host):
        problem = "is a link-local or reserved address, where a cloud serves machine credentials"
    elif parts.scheme in schemes or (loopback and plain_on_loopback and parts.scheme == "http"):
        problem = None
    else:
        expected = " or ".join(f"{scheme}://" for scheme in schemes)
        problem = f"starts with {parts.scheme or 'no scheme'}; expected {expected}"
    return problem


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or a literal address, as in a URL's `hostname`) is this machine itself."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _is_metadata(host: str) -> bool:
    address = _address(host)
    return address is not None and (address.is_link_local or address.is_multicast or address == _AWS_METADATA)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The literal address that a resolver would read in `host`, an embedded IPv4 address unwrapped."""
    try:
        address = ip_address(host)
    except ValueError:
        return _numeric_address(host.rstrip("."))
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _numeric_address(host: str) -> IPv4Address | None:
    """`127.1`, `0x7f000001` and `2130706433` are 127.0.0.1 to a resolver, though not to `ip_address`."""
    if re.fullmatch(r"[0-9a-fA-FxX.]+", host) is None:
        return None
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None
