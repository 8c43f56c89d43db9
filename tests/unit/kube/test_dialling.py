from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube import errors
from kube.client import Access, Client
from kube.dialling import refusal
from tests.unit.kube.conftest import TinyServer

LINK_LOCAL = st.integers(0, 0xFFFF).map(lambda low: int(IPv4Address("169.254.0.0")) + low)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "224.0.0.1", "ff02::1"],
)
def test_some_addresses_are_never_dialled(address: str) -> None:
    assert refusal(address, allow_loopback=True) is not None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"])  # noqa: S104 - an address to refuse
def test_loopback_is_dialled_only_where_allowed(address: str) -> None:
    assert refusal(address, allow_loopback=False) is not None
    assert refusal(address, allow_loopback=True) is None


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "203.0.113.9", "2001:db8::1", "fd12::1"])
def test_private_and_public_addresses_are_dialled(address: str) -> None:
    assert refusal(address, allow_loopback=False) is None


@given(LINK_LOCAL)
def test_a_link_local_address_does_not_hide_in_an_ipv6_one(low: int) -> None:
    mapped = IPv6Address((0xFFFF << 32) | low)
    translated = IPv6Address(int(IPv6Address("64:ff9b::")) | low)
    six_to_four = IPv6Address((0x2002 << 112) | (low << 80))

    for address in (mapped, translated, six_to_four):
        assert refusal(str(address), allow_loopback=True) is not None


def answering(*addresses: str) -> Callable[..., list[tuple[object, ...]]]:
    """A resolver that gives a name these addresses once, and a metadata service's ever after."""
    asked: list[str] = []

    def resolve(host: str, port: int, *rest: object) -> list[tuple[object, ...]]:
        found: tuple[str, ...] = (host,)
        if not host[0].isdigit():
            asked.append(host)
            found = addresses if len(asked) == 1 else ("169.254.169.254",)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    return resolve


def test_a_name_that_leads_to_a_metadata_service_is_refused(
    open_client: Callable[[Access], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kube.dialling.socket.getaddrinfo", answering("169.254.169.254"))

    with pytest.raises(errors.Unreachable) as caught:
        open_client(Access("https://innocent.example.com")).read_path("/version")

    assert "innocent.example.com: 169.254.169.254: a link-local or metadata address is never dialled" == str(
        caught.value
    )


def test_the_address_that_was_checked_is_the_one_dialled(
    start_server: Callable[..., TinyServer],
    open_client: Callable[[Access], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = start_server("rebinding.example.com")
    server.answer = lambda exchange: exchange.json({"gitVersion": "v1.34.4"})
    monkeypatch.setattr("kube.dialling.socket.getaddrinfo", answering("169.254.169.254", "127.0.0.1"))
    client = open_client(server.access(server=f"https://rebinding.example.com:{server.port}"))

    assert {"gitVersion": "v1.34.4"} == client.read_path("/version")


@pytest.mark.parametrize("server", ["https://169.254.169.254", "https://[fe80::1]", "https://127.0.0.1:6443"])
def test_an_address_written_out_is_refused_before_anything_is_sent(server: str) -> None:
    with pytest.raises(errors.Unreachable):
        Client(Access(server, proxy="http://proxy.example.com:3128"))


@pytest.mark.parametrize(
    "server",
    ["http://api.example.com", "https://user:password@api.example.com", "api.example.com", "https://"],
)
def test_only_plain_https_urls_are_taken(server: str) -> None:
    with pytest.raises(errors.Unreachable, match="must be an https URL"):
        Client(Access(server))
