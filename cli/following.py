"""Looking again and again: for `--watch`, and for commands that wait until a cluster is somewhere.

On a terminal the same place is drawn anew (rich); off it every change is one line. Time comes from a `Clock`, so that
tests wait for nothing.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import click

from reconcile.clock import Clock, SystemClock

LOOK_SECONDS = 1.0

Say = Callable[[str], None]


class NotInTime(click.ClickException):
    """What was waited for did not come; exit code 3."""

    exit_code = 3


def pause(clock: Clock, seconds: float = LOOK_SECONDS) -> None:
    """Lets `seconds` pass."""
    idle = threading.Condition()
    with idle:
        clock.wait(idle, seconds)


@contextmanager
def display() -> Iterator[Say]:
    """A function that shows the newest picture: in place on a terminal; off it, the lines that the last one had not."""
    if not sys.stdout.isatty():
        last: list[str] = []

        def print_changed(picture: str) -> None:
            nonlocal last
            lines = picture.splitlines()
            for line in lines:
                if line not in last:
                    click.echo(line)
            sys.stdout.flush()
            last = lines

        yield print_changed
        return
    from rich.live import Live  # noqa: PLC0415 - only on a terminal
    from rich.text import Text  # noqa: PLC0415 - the same

    with Live(auto_refresh=False) as live:

        def draw(picture: str) -> None:
            live.update(Text.from_ansi(picture), refresh=True)

        yield draw


def until(
    reached: Callable[[], bool],
    *,
    timeout_seconds: float,
    look_seconds: float = LOOK_SECONDS,
    clock: Clock | None = None,
) -> bool:
    """Asks until `reached` says so, or the time has passed: then False. Asks at least once."""
    clock = clock or SystemClock()
    deadline = clock.monotonic() + timeout_seconds
    while not reached():
        remaining = deadline - clock.monotonic()
        if remaining <= 0:
            return False
        pause(clock, min(look_seconds, remaining))
    return True


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Ctrl-C is how it ends, and nothing went wrong: exit code 0."""
    try:
        yield
    except KeyboardInterrupt:
        raise click.exceptions.Exit(0) from None


def watch(picture: Callable[[datetime], str], *, clock: Clock | None = None) -> None:
    """Shows `picture` until Ctrl-C."""
    clock = clock or SystemClock()
    with until_interrupted(), display() as say:
        while True:
            say(picture(clock.now()))
            pause(clock)
