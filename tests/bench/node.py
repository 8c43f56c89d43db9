"""What node delivery weighs: the memory of a node's driver, and the image that each node pulls.

Memory is that of a driver that has brought a node to ready and idles, against a Python that does nothing at all. The
image's figure is read off the archive that `make e2e` built last: the bytes a node pulls, and how many of them are not
the base's.
"""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support import programs
from tests.support.certificates import Authority
from tests.unit.agent.node.cluster import node
from tests.unit.agent.node.conftest import CONFIGURATION

MEBIBYTE, MEGABYTE = 2**20, 10**6
AIM_RESIDENT, AIM_IMAGE = 40 * MEBIBYTE, 120 * MEGABYTE
_FAR_FUTURE = 4102444800
_NOTHING = (
    "from pathlib import Path\n"
    "line = [one for one in Path('/proc/self/status').read_text().splitlines() if one.startswith('VmRSS')]\n"
    "print(int(line[0].split()[1]) * 1024)"
)


def run() -> None:
    """Prints the figures."""
    print("Node delivery")
    driver = _driver()
    nothing = int(_output([sys.executable, "-c", _NOTHING]))
    resident = driver["resident"]
    print(
        f"  driver, idle: {resident / MEBIBYTE:.1f} MiB resident ({driver['own'] / MEBIBYTE:.1f} its own),"
        f" at most {driver['peak'] / MEBIBYTE:.1f}; {resident / nothing:.1f} times a Python that does nothing"
        f" ({nothing / MEBIBYTE:.1f}); aim {AIM_RESIDENT / MEBIBYTE:.0f}: {_met(resident, AIM_RESIDENT)}"
    )
    archives = sorted(
        (programs.cache_directory() / "nodes").glob("product-*.tar"), key=lambda path: path.stat().st_mtime
    )
    if not archives:
        print("  image: none here yet, `make e2e` builds it")
        return
    total, ours = image_size(archives[-1])
    print(
        f"  image: {total / MEGABYTE:.0f} MB compressed, of which {ours / MEGABYTE:.0f} MB are not its base's;"
        f" aim {AIM_IMAGE / MEGABYTE:.0f}: {_met(total, AIM_IMAGE)}"
    )


def image_size(archive: Path) -> tuple[int, int]:
    """Bytes of all layers of an OCI archive, and of those that our Dockerfile adds to the base."""
    with tarfile.open(archive) as content:
        index = _member(content, "index.json")
        manifest = _blob(content, index["manifests"][0]["digest"])
        history = _blob(content, manifest["config"]["digest"])["history"]
    makers = [one.get("created_by", "") for one in history if not one.get("empty_layer")]
    sizes = [int(layer["size"]) for layer in manifest["layers"]]
    ours = sum(size for size, maker in zip(sizes, makers, strict=True) if "pullpass" in maker)
    return sum(sizes), ours


def _driver() -> dict[str, int]:
    with tempfile.TemporaryDirectory() as name, _api_server(Path(name)) as server:
        folder = Path(name)
        (folder / "host").mkdir()
        payload = base64.urlsafe_b64encode(json.dumps({"exp": _FAR_FUTURE}).encode()).rstrip(b"=").decode()
        (folder / "token").write_text(f"e30.{payload}.c2ln")
        (folder / "plugin").write_bytes(b"#!/bin/sh\nexit 0\n")
        (folder / "configuration.json").write_text(json.dumps(CONFIGURATION))
        found: dict[str, int] = json.loads(
            _output([sys.executable, "-m", "tests.bench.node_driver", str(folder), server])
        )
        return found


@contextmanager
def _api_server(folder: Path) -> Iterator[str]:
    """An API server with one Node, over TLS; its authority is `ca.pem` in the folder."""
    authority = Authority()
    (folder / "ca.pem").write_text(authority.certificate)
    certificate, key = authority.server("127.0.0.1")
    (folder / "server.pem").write_text(certificate + key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Answers(BaseHTTPRequestHandler):
    """One Node, no pods, no Lease but those that are sent."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/nodes/worker-1"):
            self._answer(200, node("worker-1"))
        elif path.endswith("/nodes"):
            self._answer(200, {"items": [node("worker-1")]})
        elif path.endswith(("/pods", "/leases")):
            self._answer(200, {"items": []})
        else:
            self._answer(404, {"message": "not found"})

    def do_PATCH(self) -> None:
        self._answer(200, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_POST(self) -> None:
        self.do_PATCH()

    def do_PUT(self) -> None:
        self.do_PATCH()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """A benchmark prints figures only."""

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _member(archive: tarfile.TarFile, name: str) -> dict[str, Any]:
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is no file")
    content: dict[str, Any] = json.load(file)
    return content


def _blob(archive: tarfile.TarFile, digest: str) -> dict[str, Any]:
    return _member(archive, f"blobs/{digest.replace(':', '/')}")


def _met(figure: int, aim: int) -> str:
    return "met" if figure <= aim else "missed"


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=programs.REPOSITORY).stdout
