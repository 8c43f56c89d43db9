"""Bytes to one API server and back, over a urllib3 pool.

The official client would put the same pool together, for 55 MB and half a second of imports that every agent would
pay, with its model classes unused; and what it leaves open must be closed anyway: TLS from PEM text without files that
stay, only addresses that may be dialled (`kube.dialling`), no redirects, no retries (the caller's queue owns those),
no proxies from the environment. It still reads the user's own kubeconfig (`kube.kubeconfig`).
Called by `kube.client` and `kube.watch`.
"""

from __future__ import annotations

import functools
import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from urllib3 import BaseHTTPResponse, HTTPSConnectionPool, PoolManager, ProxyManager, Timeout, make_headers
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from kube import errors
from kube.access import Access
from kube.dialling import GuardedPool, LoopbackPool, refusal
from kube.hurry import HurriedTlsSocket
from kube.idle import IdleConnections

CONNECT_TIMEOUT_SECONDS = 5.0
# More than any page we ask for; a server that sends on and on must not fill the hub's memory.
ANSWER_LIMIT_BYTES = 64 * 1024 * 1024
# Idle connections kept for one cluster, whose one worker asks one thing at a time.
KEPT_CONNECTIONS = 4
_IDLE = IdleConnections(limit=256)
# A server that is gone without a word is noticed within a minute, also by a watch on which nothing comes.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    # Not every system that the command line runs on has all of them.
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _KEEP_ALIVE.items()
        if hasattr(socket, name)
    ),
]


@dataclass(frozen=True)
class Answer:
    """What came back; the body is whole."""

    status: int
    body: bytes
    retry_after: str | None = None


class Transport:
    """One API server's connections. Safe for several threads.

    Args:
        access: Where and with what credential.
        kept_connections: How many idle ones stay open; should be as many as ask at the same time.

    Raises:
        kube.errors.Unreachable: where the access itself cannot work: not https, PEM that is none, a refused address.
    """

    def __init__(self, access: Access, *, kept_connections: int = KEPT_CONNECTIONS) -> None:
        server = urlsplit(access.server)
        if server.scheme != "https" or not server.hostname or server.username is not None:
            raise errors.Unreachable("the server must be an https URL without user information")
        self._access = access
        self._prefix = server.path.rstrip("/")
        self._where = server.netloc
        _refuse_literal(server.hostname, allow_loopback=access.allow_loopback)
        self._kept_connections = kept_connections
        self._manager = _manager(access, kept_connections)
        self._pool = _pool(self._manager, access.server)
        self._credential = _Credential(access)
        self._authority = _ChangingFile(access.certificate_authority_file)
        self._trusting = threading.Lock()

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request, its body read whole and its connection given back."""
        response = self._send(method, path, body, headers or {}, self._access.timeout_seconds)
        try:
            with self._failures_named(self._access.timeout_seconds):
                content = response.read(ANSWER_LIMIT_BYTES + 1, decode_content=False)
        except BaseException:
            response.close()
            raise
        finally:
            response.release_conn()
            _IDLE.used(self._pool)
        if len(content) > ANSWER_LIMIT_BYTES:
            response.close()
            raise errors.Unreachable(f"{self._where} sent more than {ANSWER_LIMIT_BYTES} bytes")
        return Answer(response.status, content, response.headers.get("Retry-After"))

    def stream(self, path: str, *, headers: Mapping[str, str], read_timeout_seconds: float) -> Stream:
        """A GET whose body stays open; its first byte may take as long as any answer, its lines longer."""
        response = self._send("GET", path, None, headers, self._access.timeout_seconds)
        connection = response.connection
        if isinstance(connection, HTTPConnection) and connection.sock is not None:
            connection.sock.settimeout(read_timeout_seconds)
        return Stream(response, lambda: self._failures_named(read_timeout_seconds))

    def close(self) -> None:
        """Closes idle connections; those in use close when they are given back."""
        _IDLE.forget(self._pool)
        self._pool.close()
        self._manager.clear()

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], read_seconds: float
    ) -> BaseHTTPResponse:
        sent = {"Accept": "application/json", "User-Agent": "pullpass", **headers}
        sent.update(self._credential.headers())
        self._trust()
        with self._failures_named(read_seconds):
            return self._pool.urlopen(
                method,
                self._prefix + path,
                body=body,
                headers=sent,
                retries=False,
                redirect=False,
                timeout=Timeout(connect=min(read_seconds, CONNECT_TIMEOUT_SECONDS), read=read_seconds),
                preload_content=False,
                decode_content=False,
            )

    def _trust(self) -> None:
        """Trusts what the authority's file says now; as long as that is of no use, what it said before."""
        with self._trusting:
            authority = self._authority.changed()
            if authority is None:
                return
            try:
                manager = _manager(
                    replace(self._access, certificate_authority=authority), self._kept_connections
                )
            except errors.Unreachable:
                return
            retired, self._manager = self._pool, manager
            self._pool = _pool(manager, self._access.server)
        _IDLE.retire(retired)

    @contextmanager
    def _failures_named(self, read_seconds: float) -> Iterator[None]:
        try:
            yield
        except (HTTPError, OSError, ValueError) as error:
            # ValueError: reading from a response that another thread has closed.
            raise errors.Unreachable(errors.short(_say(error, self._where, read_seconds))) from error


class Stream:
    """An answer that is read as it comes; `close` may be called from another thread and wakes the reader."""

    def __init__(
        self, response: BaseHTTPResponse, failures_named: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._response = response
        self._failures_named = failures_named
        self.status = response.status
        self.retry_after = response.headers.get("Retry-After")

    def read(self) -> bytes:
        """What has come since; empty at the end. Raises `Unreachable` when it breaks."""
        with self._failures_named():
            return self._response.read1(64 * 1024, decode_content=False)

    def wake(self) -> None:
        """Ends a read that another thread is blocked in."""
        try:
            self._response.shutdown()
        except (OSError, RuntimeError, ValueError):
            # It has ended by itself.
            return

    def close(self) -> None:
        """Drops the connection: what is still under way on it belongs to nobody."""
        self._response.close()
        self._response.release_conn()


class _ChangingFile:
    """A file of text that is exchanged now and then."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._version = self._look()

    def changed(self) -> str | None:
        """The text where it is another than at the call before; None as well where it cannot be read."""
        version = self._look()
        if self._path is None or version is None or version == self._version:
            return None
        try:
            text = Path(self._path).read_text(encoding="ascii")
        except (OSError, UnicodeError):
            return None
        self._version = version
        return text

    def _look(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            seen = os.stat(self._path)  # noqa: PTH116 - on the path of every request
        except OSError:
            return None
        return seen.st_mtime_ns, seen.st_ino


class _Credential:
    """The Authorization header, read anew when a token file has changed."""

    def __init__(self, access: Access) -> None:
        self._file = access.token_file
        self._known: tuple[tuple[int, int], str] | None = None
        self._fixed = {"Authorization": f"Bearer {access.token}"} if access.token else {}

    def headers(self) -> dict[str, str]:
        if self._file is None:
            return self._fixed
        try:
            seen = os.stat(self._file)  # noqa: PTH116 - on the path of every request
            version = (seen.st_mtime_ns, seen.st_ino)
            known = self._known
            if known is None or known[0] != version:
                known = (version, Path(self._file).read_text(encoding="ascii").strip())
                self._known = known
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a token"
            raise errors.Unreachable(f"cannot read the token file {self._file}: {reason}") from None
        return {"Authorization": f"Bearer {known[1]}"}


def _manager(access: Access, kept_connections: int) -> PoolManager:
    try:
        options: dict[str, Any] = {
            "maxsize": kept_connections,
            "ssl_context": _tls_context(access),
            "socket_options": _SOCKET_OPTIONS,
        }
        if access.tls_server_name:
            options["server_hostname"] = access.tls_server_name
        manager = PoolManager(**options) if access.proxy is None else _proxy_manager(access.proxy, options)
    except (OSError, ValueError, HTTPError) as error:
        # OpenSSL says "PEM lib" or "no start line"; the text itself is never quoted.
        said = error.strerror if isinstance(error, ssl.SSLError) else type(error).__name__
        raise errors.Unreachable(f"the certificates, the key or the proxy cannot be used: {said}") from None
    manager.pool_classes_by_scheme = {"https": LoopbackPool if access.allow_loopback else GuardedPool}
    return manager


def _proxy_manager(proxy: str, options: dict[str, Any]) -> ProxyManager:
    """A tunnel through an http or https proxy; a password in its URL goes into a header."""
    parts = urlsplit(proxy)
    headers = None
    if parts.username is not None:
        password = unquote(parts.password or "")
        headers = make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{password}")
    host = parts.netloc.rpartition("@")[2]
    return ProxyManager(
        f"{parts.scheme}://{host}",
        proxy_headers=headers,
        proxy_ssl_context=_system_tls_context() if parts.scheme == "https" else None,
        **options,
    )


def _pool(manager: PoolManager, server: str) -> HTTPSConnectionPool:
    pool = manager.connection_from_url(server)
    if not isinstance(pool, HTTPSConnectionPool):
        raise TypeError(f"no https pool: {type(pool).__name__}")
    return pool


def _tls_context(access: Access) -> ssl.SSLContext:
    if access.certificate_authority is None and access.client_certificate is None:
        return _system_tls_context()
    context = _verifying(access.certificate_authority)
    if access.client_certificate and access.client_key:
        # OpenSSL reads a client's key from a file only: one of our own, for as long as the reading takes.
        with tempfile.TemporaryDirectory(prefix="pullpass-") as directory:
            certificate, key = Path(directory, "certificate"), Path(directory, "key")
            for file, text in ((certificate, access.client_certificate), (key, access.client_key)):
                file.touch(mode=0o600)
                file.write_text(text, encoding="ascii")
            context.load_cert_chain(certificate, key)
    return context


@functools.cache
def _system_tls_context() -> ssl.SSLContext:
    """One for all: reading the system's authorities takes 20 ms."""
    return _verifying(None)


def _verifying(authority: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority)
    context.sslsocket_class = HurriedTlsSocket
    # Python 3.13 turns this on, and cluster authorities without a key identifier (EKS's among them) fail it.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _refuse_literal(host: str, *, allow_loopback: bool) -> None:
    """Refuses an address written out in the URL: behind a proxy nothing else would."""
    try:
        address = str(ip_address(host.partition("%")[0]))
    except ValueError:
        return
    why = refusal(address, allow_loopback=allow_loopback)
    if why is not None:
        raise errors.Unreachable(f"{address}: {why}")


def _say(error: Exception, where: str, read_seconds: float) -> str:
    """One sentence for a person, without urllib3's object names (a proxy's URL may hold a password)."""
    if isinstance(error, ProxyError):
        inner = error.original_error
        return f"the proxy before {where} does not let us through: {_last(inner)}"
    if isinstance(error, NameResolutionError):
        return f"the name in {where} cannot be resolved"
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return f"{where} takes no connection within {min(read_seconds, CONNECT_TIMEOUT_SECONDS):g} s"
    if isinstance(error, ReadTimeoutError):
        return f"{where} does not answer within {read_seconds:g} s"
    if isinstance(error, SSLError):
        return f"TLS with {where} fails: {_last(error)}"
    return f"{where}: {_last(error)}"


def _last(error: BaseException) -> str:
    """What the innermost error says: the one that the operating system or OpenSSL raised."""
    while True:
        inner = next((part for part in error.args if isinstance(part, BaseException)), None)
        inner = inner or error.__cause__
        if inner is None:
            break
        error = inner
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    # urllib3 puts the connection's repr before the message.
    return text.partition("): ")[2] or text or type(error).__name__
