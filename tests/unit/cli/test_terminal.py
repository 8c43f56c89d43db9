"""What only a terminal gets: colours, headers, a picture that is drawn anew."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from tests.support.hub import manifest
from tests.support.programs import REPOSITORY
from tests.unit.cli.served import Shell


def on_terminal(shell: Shell, *arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code of a command on a terminal, and all that was written there."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        env={
            "PATH": os.environ["PATH"],
            "TERM": "xterm",
            "COLUMNS": "120",
            **shell.environment,
            **environment,
        },
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=end,
        stderr=end,
    )
    os.close(end)
    written = b""
    try:
        while part := os.read(terminal, 65536):
            written += part
    except OSError:
        pass  # Linux: the other end is closed
    finally:
        os.close(terminal)
    return process.wait(30), written.decode()


def test_a_terminal_gets_a_header_and_colours(shell: Shell) -> None:
    shell.hub.put(manifest())
    code, written = on_terminal(shell, "clusters")
    assert (0, True, True) == (code, "NAME" in written, "\x1b[33mNotConnected" in written)


def test_a_terminal_without_colours_gets_none(shell: Shell) -> None:
    shell.hub.put(manifest())
    assert "\x1b" not in on_terminal(shell, "clusters", NO_COLOR="1")[1]


def test_progress_is_drawn_in_place(shell: Shell) -> None:
    shell.hub.put(manifest())
    code, written = on_terminal(shell, "clusters", "wait", "demo", "--timeout", "1")
    assert (3, True) == (code, "demo  NotConnected" in written)


def test_json_is_indented_for_eyes(shell: Shell) -> None:
    shell.hub.put(manifest())
    assert '{\r\n  "kind": "mk8s"' in on_terminal(shell, "clusters", "get", "demo", "-o", "json")[1]
