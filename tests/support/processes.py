"""Starts the programs of a test so that none outlives it, whatever becomes of pytest."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cli import children

_POLL_SECONDS = 0.05
_PORTS = range(10_000, 26_000)


def free_port() -> int:
    """A loopback port that nobody listens on now, and that no other test is given for a long while.

    It is none of those that the kernel gives to connections, which would take it before its server starts.
    """
    counter = Path(tempfile.gettempdir()) / f"pullpass-tests-{os.getuid()}.port"
    with counter.open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        port = int(file.read() or _PORTS.start)
        while True:
            port = port + 1 if port + 1 in _PORTS else _PORTS.start
            with socket.socket() as listener, contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", port))
                file.truncate(0)
                file.write(str(port))
                return port


def start(
    command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts `command` with its output appended to `log`; the kernel kills it when the test process dies.

    The kernel watches the thread that starts it: start programs from one that lives as long as they shall.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=children.bound(signal.SIGKILL),  # noqa: PLW1509 - two system calls, no lock taken
        )


def stop(process: subprocess.Popen[bytes], *, grace_seconds: float = 10.0) -> None:
    """Asks it to end, then makes it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def end_with_make() -> None:
    """Has the kernel send this process SIGTERM when the `make` that started it is killed."""
    if "MAKELEVEL" in os.environ:
        children.bind(os.getppid(), signal.SIGTERM)


def descendants(process: int) -> list[int]:
    """All that it started, and they."""
    found = []
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, file.read_text(encoding="ascii").split()):
            found += [child, *descendants(child)]
    return found


def is_running(process: int) -> bool:
    """Whether it is there and not merely waited for."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(ended: Iterable[int], *, patience: float = 30.0) -> None:
    """Raises `AssertionError` with the command lines of those that stay."""
    pause = threading.Event()
    left = list(ended)
    for _ in range(int(patience / _POLL_SECONDS)):
        left = [process for process in left if is_running(process)]
        if not left:
            return
        pause.wait(_POLL_SECONDS)
    raise AssertionError([Path(f"/proc/{process}/cmdline").read_bytes() for process in left])
