"""A page of the console against the same page of the API, in a fleet of ten thousand; and what a first visit loads.

Both are served by one `pullpass serve` on one SQLite file, asked one after the other over keep-alive connections. The
console's page is made from the API's: what is above it is the count of each state, the template and the compression.
"""

from __future__ import annotations

import gzip
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import urllib3

from fleet import clusters, tokens
from fleet.database import Database
from fleet.records import Principal, Role
from fleet.sealing import Sealer
from tests.support.fleets import fill
from tests.support.processes import free_port

CLUSTERS = 10_000
ROUNDS = 200
TOKEN = "pp_bench_0123456789abcdefghijklmnopqrstuvwxyz"
ADMIN = Principal("bench", "bench", "acme", Role.ADMIN)
FIRST_VISIT_BYTES = 150_000
_ASSET = re.compile(r'(?:href|src)="(/static/[^"#]+)')
# Name: the console's path, and the API's for the same clusters.
_PAGES = {
    "first page": ("/clusters", "mk8s?limit=50"),
    "deep page": ("/clusters?after={name}", "mk8s?limit=50&after={name}"),
    "text": ("/clusters?text=production+09999", "mk8s?limit=50&text=production+09999"),
    "state and text": ("/clusters?standing=Blocked&text=shop", "mk8s?limit=50&standing=Blocked&text=shop"),
    "issue": ("/clusters?issue=RoleArnMissing", "mk8s?limit=50&issue=RoleArnMissing"),
    "fleet": ("/fleet", "-overview"),
}


@dataclass(frozen=True)
class Answer:
    """Milliseconds (the median and the 99th of a hundred), and bytes as they are sent and as they are read."""

    p50: float
    p99: float
    sent: int
    read: int


def run() -> None:
    with tempfile.TemporaryDirectory() as directory:
        name = _fill(Path(directory))
        with _server(directory) as port:
            pool = urllib3.PoolManager(retries=False, headers={"Accept-Encoding": "gzip"})
            base = f"http://127.0.0.1:{port}"
            cookie = _sign_in(pool, base)
            _print_pages(pool, base, cookie, name)
            _print_first_visit(pool, base, cookie)
            pool.clear()


def _print_pages(pool: urllib3.PoolManager, base: str, cookie: Mapping[str, str], name: str) -> None:
    token = {"Authorization": f"Bearer {TOKEN}"}
    print(
        f"{'console':18}{'page ms':>9}{'p99':>7}{'api ms':>9}{'p99':>7}{'ratio':>7}"
        f"{'page B':>9}{'gzip B':>8}{'api B':>9}{'gzip B':>8}"
    )
    for row, (page_path, api_path) in _PAGES.items():
        page, api = _measure(
            pool,
            (base + page_path.format(name=name), cookie),
            (f"{base}/org/acme/{api_path.format(name=name)}", token),
        )
        print(
            f"{row:18}{page.p50:>9.1f}{page.p99:>7.1f}{api.p50:>9.1f}{api.p99:>7.1f}{page.p50 / api.p50:>7.2f}"
            f"{page.read:>9}{page.sent:>8}{api.read:>9}{api.sent:>8}"
        )
    live = _live_path(pool, base, cookie)
    [quiet] = _measure(pool, (base + live, {**cookie, "HX-Request": "true"}))
    print(f"{'nothing changed':18}{quiet.p50:>9.1f}{quiet.p99:>7.1f}{'':32}{quiet.read:>9}{quiet.sent:>8}")


def _measure(pool: urllib3.PoolManager, *asked: tuple[str, Mapping[str, str]]) -> list[Answer]:
    """Asks each URL with its headers in turns, so that whatever else the machine does befalls all of them."""
    milliseconds: list[list[float]] = [[] for _ in asked]
    bodies = [b"" for _ in asked]
    for _ in range(ROUNDS + 20):
        for number, (url, headers) in enumerate(asked):
            wanted = {"Accept-Encoding": "gzip", **headers}
            start = time.perf_counter()
            response = pool.request("GET", url, headers=wanted, decode_content=False, redirect=False)
            milliseconds[number].append(1000 * (time.perf_counter() - start))
            if response.status not in {200, 204}:
                raise RuntimeError(f"{url}: {response.status} {response.data[:300]!r}")
            bodies[number] = response.data
    return [_answer(sorted(times[20:]), body) for times, body in zip(milliseconds, bodies, strict=True)]


def _answer(ordered: list[float], body: bytes) -> Answer:
    packed = body.startswith(b"\x1f\x8b")
    read = len(gzip.decompress(body)) if packed else len(body)
    sent = len(body) if packed or not body else len(gzip.compress(body, compresslevel=5))
    return Answer(statistics.median(ordered), ordered[len(ordered) * 99 // 100], sent, read)


def _print_first_visit(pool: urllib3.PoolManager, base: str, cookie: Mapping[str, str]) -> None:
    """Sign-in page, list of ten thousand, and each asset of both, once: a browser keeps them for ever."""
    loaded: dict[str, int] = {}
    for path, headers in (("/sign-in", {}), ("/clusters", cookie)):
        markup = _load(pool, base + path, headers, loaded)
        for asset in dict.fromkeys(_ASSET.findall(markup)):
            if base + asset not in loaded:
                _load(pool, base + asset, headers, loaded)
    total = sum(loaded.values())
    print(f"first visit: {total} bytes sent, of {FIRST_VISIT_BYTES}")
    for url, sent in sorted(loaded.items(), key=lambda pair: -pair[1]):
        print(f"  {sent:>8}  {url.removeprefix(base)}")
    if total > FIRST_VISIT_BYTES:
        raise RuntimeError("a first visit is larger than it may be")


def _load(pool: urllib3.PoolManager, url: str, headers: Mapping[str, str], loaded: dict[str, int]) -> str:
    """What the address answers; its bytes on the wire, without HTTP's headers, are added to `loaded`."""
    asked = {"Accept-Encoding": "gzip", **headers}
    response = pool.request("GET", url, headers=asked, decode_content=False, redirect=False)
    loaded[url] = len(response.data)
    packed = response.headers.get("Content-Encoding") == "gzip"
    return (gzip.decompress(response.data) if packed else response.data).decode()


def _live_path(pool: urllib3.PoolManager, base: str, cookie: Mapping[str, str]) -> str:
    """What the list asks for every few seconds."""
    markup = pool.request("GET", f"{base}/clusters", headers=cookie).data.decode()
    found = re.search(r'id="live" hx-get="([^"]+)"', markup)
    if found is None:
        raise RuntimeError("the list is not live")
    return found[1].replace("&amp;", "&")


def _sign_in(pool: urllib3.PoolManager, base: str) -> Mapping[str, str]:
    answer = pool.request("POST", f"{base}/sign-in", fields={"token": TOKEN}, redirect=False)
    return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


def _fill(directory: Path) -> str:
    """The name of the cluster in the middle."""
    sealer = Sealer.from_file(directory / "sealing.key")
    database = Database(f"sqlite:///{directory}/pullpass.db", sealer=sealer)
    try:
        database.migrate()
        now = datetime.now(UTC)
        fill(database, ADMIN, CLUSTERS, now=now)
        tokens.issue(database, org=ADMIN.org, role=Role.ADMIN, name="bench", now=now, text=TOKEN)
        return clusters.page(database, ADMIN.org, after="media", limit=1).items[0].key.name
    finally:
        database.close()


@contextmanager
def _server(directory: str) -> Iterator[int]:
    port = free_port()
    environment = {
        **os.environ,
        "PULLPASS_DATA_DIRECTORY": directory,
        "PULLPASS_DATABASE_URL": f"sqlite:///{directory}/pullpass.db",
        "PULLPASS_LOG_LEVEL": "warning",
        "PULLPASS_PORT": str(port),
    }
    process = subprocess.Popen([sys.executable, "-m", "cli", "serve"], env=environment)
    pool = urllib3.PoolManager(retries=urllib3.Retry(connect=60, backoff_factor=0.05))
    try:
        pool.request("GET", f"http://127.0.0.1:{port}/healthz")
        yield port
    finally:
        pool.clear()
        process.terminate()
        process.wait()


if __name__ == "__main__":
    run()
