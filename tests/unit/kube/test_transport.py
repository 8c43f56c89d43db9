from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from urllib3.connection import HTTPSConnection

from kube import errors, transport
from kube.client import Access, Client
from kube.objects import CONFIG_MAP, NAMESPACE, Object
from tests.support import certificates
from tests.support.processes import free_port
from tests.unit.kube.conftest import Exchange, TinyServer

Opener = Callable[[Access], Client]


def test_requests_share_one_connection(server: TinyServer, client: Client) -> None:
    for _ in range(3):
        client.read_path("/version")

    assert (3, 1) == (len(server.seen), server.connections)
    assert 3 == client.requests


def test_a_refusal_leaves_the_connection_usable(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.json({"kind": "Status", "reason": "NotFound"}, 404)

    for _ in range(2):
        with pytest.raises(errors.NotFound):
            client.get(NAMESPACE, "a")

    assert 1 == server.connections


def test_the_path_of_the_server_stays_before_every_path(server: TinyServer, open_client: Opener) -> None:
    open_client(server.access(server=f"{server.url}/k8s/clusters/c-1/")).get(NAMESPACE, "a")

    assert ["/k8s/clusters/c-1/api/v1/namespaces/a"] == [exchange.path for exchange in server.seen]


def test_the_token_goes_into_the_header(server: TinyServer, client: Client) -> None:
    client.read_path("/version")

    assert "Bearer the-token" == server.seen[0].headers["Authorization"]


def test_an_apply_is_a_forced_patch_of_json_bytes(server: TinyServer, client: Client) -> None:
    metadata = {"name": "a", "namespace": "prod"}
    client.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ü": "1"}})

    [sent] = server.seen
    assert "PATCH" == sent.method
    assert "/api/v1/namespaces/prod/configmaps/a?fieldManager=pullpass&force=true" == sent.path
    assert "application/apply-patch+yaml" == sent.headers["Content-Type"]
    assert '"data":{"ü":"1"}' in sent.body.decode()


def test_redirects_are_never_followed(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.content(b"", 302, Location="https://127.0.0.1:1/elsewhere")

    with pytest.raises(errors.ApiError) as caught:
        client.read_path("/version")

    assert ("Redirected", 302) == (caught.value.reason, caught.value.status)
    assert 1 == len(server.seen)


def test_too_many_requests_tell_when_to_come_back_and_are_not_repeated(
    server: TinyServer, client: Client
) -> None:
    server.answer = lambda exchange: exchange.json({"reason": "TooManyRequests"}, 429, Retry_After="7")

    with pytest.raises(errors.TooManyRequests) as caught:
        client.get(NAMESPACE, "a")

    assert 7.0 == caught.value.retry_after
    assert 1 == len(server.seen)


def test_what_is_no_json_comes_from_no_api_server(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.content(b"<html>sign in</html>")

    with pytest.raises(errors.ApiError) as caught:
        client.get(NAMESPACE, "a")

    assert "NotKubernetes" == caught.value.reason


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"items": 1}',
        b'{"items": ["a"]}',
        b'{"items": [{}]}',
        b'{"items": [{"metadata": {"name": 1}}]}',
    ],
    ids=["nested", "none", "text", "nameless", "number"],
)
def test_a_list_of_what_are_no_objects_comes_from_no_api_server(
    server: TinyServer, client: Client, body: bytes
) -> None:
    server.answer = lambda exchange: exchange.content(body)

    with pytest.raises(errors.ApiError) as caught:
        client.list(CONFIG_MAP)

    assert "NotKubernetes" == caught.value.reason


def test_a_refusal_nested_without_end_is_a_refusal(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.content(b"[" * 100_000, 403)

    with pytest.raises(errors.Forbidden):
        client.get(NAMESPACE, "a")


def test_a_server_that_says_nothing_is_unreachable(server: TinyServer, open_client: Opener) -> None:
    def stay_silent(exchange: Exchange) -> None:
        server.released.wait(60)

    server.answer = stay_silent

    with pytest.raises(errors.Unreachable) as caught:
        open_client(server.access(timeout_seconds=0.2)).get(NAMESPACE, "a")

    assert f"127.0.0.1:{server.port} does not answer within 0.2 s" == str(caught.value)


def test_an_answer_that_breaks_off_is_unreachable(server: TinyServer, client: Client) -> None:
    server.answer = lambda exchange: exchange.chunks(b'{"kind":', ended=False)

    with pytest.raises(errors.Unreachable):
        client.get(NAMESPACE, "a")


def test_an_answer_without_end_is_not_read_to_its_end(
    server: TinyServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "ANSWER_LIMIT_BYTES", 1000)
    server.answer = lambda exchange: exchange.content(b"x" * 5000)

    with pytest.raises(errors.Unreachable, match="sent more than 1000 bytes"):
        client.get(NAMESPACE, "a")


def test_a_port_where_nobody_listens_is_unreachable(open_client: Opener) -> None:
    port = free_port()

    with pytest.raises(errors.Unreachable) as caught:
        open_client(Access(f"https://127.0.0.1:{port}", allow_loopback=True)).get(NAMESPACE, "a")

    assert f"127.0.0.1:{port}: Connection refused" == str(caught.value)


def test_a_name_that_does_not_exist_is_unreachable(
    open_client: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("kube.dialling.socket.getaddrinfo", unknown)

    with pytest.raises(errors.Unreachable) as caught:
        open_client(Access("https://gone.example.com")).get(NAMESPACE, "a")

    assert "the name in gone.example.com cannot be resolved" == str(caught.value)


def test_a_certificate_of_another_authority_is_refused(server: TinyServer, open_client: Opener) -> None:
    access = server.access(certificate_authority=certificates.Authority("another").certificate)

    with pytest.raises(errors.Unreachable, match=r"^TLS with 127\.0\.0\.1:\d+ fails: "):
        open_client(access).get(NAMESPACE, "a")


def test_a_certificate_for_another_name_is_refused(
    start_server: Callable[..., TinyServer], open_client: Opener
) -> None:
    server = start_server("api.internal")

    with pytest.raises(errors.Unreachable, match="not valid for"):
        open_client(server.access()).get(NAMESPACE, "a")


def test_the_name_to_expect_in_the_certificate_can_be_given(
    start_server: Callable[..., TinyServer], open_client: Opener
) -> None:
    server = start_server("api.internal")

    open_client(server.access(tls_server_name="api.internal")).read_path("/version")

    assert 1 == len(server.seen)


def test_certificates_that_are_none_are_refused_without_being_quoted() -> None:
    with pytest.raises(errors.Unreachable) as caught:
        Client(Access("https://api.example.com", certificate_authority="not a certificate"))

    assert "cannot be used" in str(caught.value)
    assert "not a certificate" not in str(caught.value)


def test_a_client_key_stays_in_no_file(
    authority: certificates.Authority,
    server: TinyServer,
    open_client: Opener,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    certificate, key = authority.client("admin")

    open_client(server.access(client_certificate=certificate, client_key=key)).read_path("/version")

    assert [] == list(scratch.iterdir())


def test_no_secret_stands_in_a_representation(server: TinyServer, client: Client) -> None:
    access = server.access(token="the-token", client_key="the-key", proxy="http://u:the-password@p:1")

    shown = repr(access) + repr(client)

    assert [] == [secret for secret in ("the-token", "the-key", "the-password") if secret in shown]


def test_a_token_file_is_read_anew_when_it_has_changed(
    server: TinyServer, open_client: Opener, tmp_path: Path
) -> None:
    # As the kubelet does it: a link to a folder, exchanged in one step.
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(f"{name}-token\n")
    (tmp_path / "current").symlink_to("first")
    client = open_client(server.access(token_file=str(tmp_path / "current/token")))
    client.read_path("/version")
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").rename(tmp_path / "current")

    client.read_path("/version")

    sent = [exchange.headers["Authorization"] for exchange in server.seen]
    assert ["Bearer first-token", "Bearer second-token"] == sent


def test_a_token_file_that_has_not_changed_is_not_read_again(
    server: TinyServer, open_client: Opener, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("the-token")
    client = open_client(server.access(token_file=str(file)))
    client.read_path("/version")
    seen = file.stat()
    file.write_text("unseen")
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))

    client.read_path("/version")

    assert {"Bearer the-token"} == {exchange.headers["Authorization"] for exchange in server.seen}


def test_without_its_token_file_nothing_is_sent(
    server: TinyServer, open_client: Opener, tmp_path: Path
) -> None:
    client = open_client(server.access(token_file=str(tmp_path / "gone")))

    with pytest.raises(errors.Unreachable, match=r"cannot read the token file .*: No such file"):
        client.read_path("/version")

    assert [] == server.seen


def test_an_authority_that_was_exchanged_is_trusted_and_the_old_one_no_longer(
    start_server: Callable[..., TinyServer], open_client: Opener, tmp_path: Path
) -> None:
    server, file = start_server(), tmp_path / "ca.crt"
    stranger = certificates.Authority("stranger").certificate
    file.write_text(stranger)
    access = server.access(certificate_authority=stranger, certificate_authority_file=str(file))
    client = open_client(access)
    with pytest.raises(errors.Unreachable, match="TLS with"):
        client.read_path("/version")

    exchange_file(file, server.authority.certificate)
    client.read_path("/version")
    exchange_file(file, stranger)

    with pytest.raises(errors.Unreachable, match="TLS with"):
        client.read_path("/version")
    assert 1 == len(server.seen)


@pytest.mark.parametrize("content", [None, "half of a certif"])
def test_an_authority_that_cannot_be_read_leaves_the_one_before(
    server: TinyServer, open_client: Opener, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.crt"
    file.write_text(server.authority.certificate)
    client = open_client(server.access(certificate_authority_file=str(file)))
    if content is None:
        file.unlink()
    else:
        exchange_file(file, content)

    client.read_path("/version")

    assert 1 == len(server.seen)


def test_an_answer_under_way_survives_the_exchange_of_the_authority(
    server: TinyServer, open_client: Opener, tmp_path: Path
) -> None:
    file = tmp_path / "ca.crt"
    file.write_text(server.authority.certificate)
    client = open_client(server.access(certificate_authority_file=str(file)))
    stream = client._transport.stream("/slow", headers={}, read_timeout_seconds=5)
    exchange_file(file, server.authority.certificate)
    client.read_path("/version")

    assert b"{}" == stream.read()
    stream.close()


def exchange_file(file: Path, content: str) -> None:
    """In one step, as the kubelet does it."""
    written = file.with_suffix(".new")
    written.write_text(content)
    written.rename(file)


class Proxy(threading.Thread):
    """Takes one CONNECT, remembers it, and pipes, or refuses with `status`."""

    def __init__(self, status: int = 200) -> None:
        super().__init__()
        self.status = status
        self.request = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def run(self) -> None:
        with self._listener, self._listener.accept()[0] as inside:
            while b"\r\n\r\n" not in self.request:
                self.request += inside.recv(4096)
            inside.sendall(f"HTTP/1.1 {self.status} Because\r\n\r\n".encode())
            if self.status != 200:
                return
            host, _, port = self.request.split()[1].decode().partition(":")
            with socket.create_connection((host, int(port))) as outside:
                back = threading.Thread(target=pipe, args=(outside, inside))
                back.start()
                pipe(inside, outside)
                back.join()


def pipe(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)
    with contextlib.suppress(OSError):  # the other side has gone first
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def start_proxy() -> Iterator[Callable[..., Proxy]]:
    running: list[Proxy] = []

    def start(status: int = 200) -> Proxy:
        running.append(Proxy(status))
        running[-1].start()
        return running[-1]

    yield start
    for proxy in running:
        proxy.join(60)


def test_a_proxy_is_asked_for_a_tunnel_with_its_own_password(
    server: TinyServer, start_proxy: Callable[..., Proxy]
) -> None:
    proxy = start_proxy()
    client = Client(server.access(proxy=f"http://user:p%40ss@127.0.0.1:{proxy.port}"))

    client.read_path("/version")
    client.close()

    assert proxy.request.startswith(f"CONNECT 127.0.0.1:{server.port} ".encode())
    assert b"Basic dXNlcjpwQHNz\r\n" in proxy.request


def test_a_proxy_that_refuses_is_named_without_its_password(
    server: TinyServer, start_proxy: Callable[..., Proxy], open_client: Opener
) -> None:
    proxy = start_proxy(407)

    with pytest.raises(errors.Unreachable) as caught:
        open_client(server.access(proxy=f"http://user:secret@127.0.0.1:{proxy.port}")).read_path("/version")

    expected = f"the proxy before 127.0.0.1:{server.port} does not let us through: Tunnel connection failed: 407 Because"
    assert expected == str(caught.value)


def pages(*answers: tuple[int, Object]) -> Callable[[Exchange], None]:
    """Answers one after the other."""
    left = iter(answers)

    def answer(exchange: Exchange) -> None:
        status, document = next(left)
        exchange.json(document, status)

    return answer


def page(*names: str, more: str = "", version: str = "9") -> tuple[int, Object]:
    metadata = {"resourceVersion": version, "continue": more}
    return 200, {"metadata": metadata, "items": [{"metadata": {"name": name}} for name in names]}


GONE = (410, {"reason": "Expired", "code": 410})


def test_a_list_that_expires_between_pages_is_begun_once_more(server: TinyServer, client: Client) -> None:
    server.answer = pages(
        page("a", more="t1"), GONE, page("a", more="t2", version="11"), page("b", version="11")
    )

    listed = client.list(CONFIG_MAP)

    assert ["a", "b"] == [obj["metadata"]["name"] for obj in listed.items]
    assert "11" == listed.resource_version
    assert "continue=t2" in server.seen[-1].path


def test_a_list_that_expires_twice_has_expired(server: TinyServer, client: Client) -> None:
    server.answer = pages(page("a", more="t1"), GONE, page("a", more="t2"), GONE)

    with pytest.raises(errors.Expired):
        client.list(CONFIG_MAP)


def test_a_token_request_without_a_token_in_its_answer_is_the_servers_failure(client: Client) -> None:
    with pytest.raises(errors.ServerError, match="without a token"):
        client.request_token("prod", "agent", audiences=["x"], expiration_seconds=600)


def test_a_server_that_is_gone_without_a_word_is_noticed_within_a_minute(client: Client) -> None:
    client.read_path("/version")

    connection = client._transport._pool._get_conn()
    assert isinstance(connection, HTTPSConnection)
    try:
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        idle, between, times = (connection.sock.getsockopt(socket.IPPROTO_TCP, one) for one in options)
        assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    finally:
        connection.close()
    assert idle + between * times <= 60


def test_a_token_whose_end_names_no_time_zone_ends_by_utc(server: TinyServer, client: Client) -> None:
    status = {"token": "made-up", "expirationTimestamp": "2026-11-22T05:40:00"}
    server.answer = lambda exchange: exchange.json({"status": status})

    issued = client.request_token("prod", "agent", audiences=["x"], expiration_seconds=600)

    assert datetime(2026, 11, 22, 5, 40, tzinfo=UTC) == issued.expires_at
