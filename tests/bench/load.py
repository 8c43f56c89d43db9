"""A small HTTP load: keep-alive connections on raw sockets, so that the client costs little beside the server.

Runs as a process of its own (`python -m tests.bench.load`), so that it does not share the server's interpreter; prints
one JSON line. Bounded in time; loopback only.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Load:
    """What to send: `bodies` (may be one empty string) are sent in turn to `method` `path`."""

    port: int
    method: str
    path: str
    headers: dict[str, str]
    bodies: tuple[str, ...] = ("",)
    connections: int = 8
    seconds: float = 4.0


@dataclass(frozen=True)
class Measured:
    """Requests per second, and the time that 99 of 100 stayed under, in milliseconds."""

    rate: float
    p99: float


def measure(load: Load) -> Measured:
    """Sends `load` from another process. Raises when an answer is not 2xx."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.bench.load"],
        input=json.dumps(asdict(load)),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if result.returncode:
        raise RuntimeError(result.stderr)
    return Measured(**json.loads(result.stdout))


def _connection(load: Load, until: float, seconds: list[float], problems: list[str]) -> None:
    head = f"{load.method} {load.path} HTTP/1.1\r\nHost: localhost\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in load.headers.items()
    )
    requests = [f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode() for body in load.bodies]
    with socket.create_connection(("127.0.0.1", load.port)) as connection:
        reader = connection.makefile("rb")
        count = 0
        while (start := time.perf_counter()) < until and not problems:
            connection.sendall(requests[count % len(requests)])
            status = reader.readline()
            length = 0
            while (line := reader.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = reader.read(length)
            seconds.append(time.perf_counter() - start)
            count += 1
            if not status.split()[1].startswith(b"2"):
                problems.append(f"{status!r} {body[:300]!r}")
        reader.close()


def _main() -> None:
    given = json.load(sys.stdin)
    load = Load(**{**given, "bodies": tuple(given["bodies"])})
    seconds: list[float] = []
    problems: list[str] = []
    start = time.perf_counter()
    threads = [
        threading.Thread(target=_connection, args=(load, start + load.seconds, seconds, problems))
        for _ in range(load.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    if problems:
        sys.exit(problems[0])
    seconds.sort()
    print(json.dumps({"rate": len(seconds) / took, "p99": 1000 * seconds[int(len(seconds) * 0.99)]}))


if __name__ == "__main__":
    _main()
