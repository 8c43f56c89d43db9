"""The driver's record on the node: how far a change has come, and what there is to give back.

`/var/lib/pullpass/state.json`, replaced atomically and synced before and after each step of `steps`, so that a driver
that was killed anywhere finds out where. It holds no credential.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from agent.node.distributions import OURS, Layout
from agent.node.host import Host

PATH = f"{OURS}/state.json"
_VERSION = 1

Phase = Literal["settled", "changing", "restarting"]


@dataclass(frozen=True)
class Before:
    """A file as it was ahead of a change: `copy` is where its copy lies, None when there was no file."""

    path: str
    copy: str | None


@dataclass(frozen=True)
class RolledBack:
    """A change that the kubelet did not survive. It is not tried again until `hash` or `generation` changes."""

    hash: str
    generation: int
    reason: str
    at: datetime


@dataclass(frozen=True)
class State:
    """How far things are.

    `settled`: the kubelet runs with what is on disk. `changing`: files may be half changed, no restart was asked for.
    `restarting`: the watcher has the word.

    `target` is the hash of the plan being carried out or last carried out; `hash` that of the plan the kubelet was last
    seen healthy with. `directories` are the ones we made, outermost first.
    """

    layout: Layout
    phase: Phase = "settled"
    target: str = ""
    generation: int = 0
    hash: str = ""
    before: tuple[Before, ...] = ()
    directories: tuple[str, ...] = ()
    rolled_back: RolledBack | None = None


def read(host: Host) -> State | None:
    """The record; None when there is none, or none that can be read (another version's, a broken disk's)."""
    try:
        content = json.loads(host.read(PATH) or b"")
        if content.pop("version") != _VERSION:
            return None
        rolled_back = content.pop("rolled_back")
        return State(
            layout=Layout(**content.pop("layout")),
            before=tuple(Before(**one) for one in content.pop("before")),
            directories=tuple(content.pop("directories")),
            rolled_back=None
            if rolled_back is None
            else RolledBack(**{**rolled_back, "at": datetime.fromisoformat(rolled_back["at"])}),
            **content,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def write(host: Host, state: State) -> None:
    """Puts the record on disk.

    Raises:
        HostError: the disk is full or read-only: nothing else may be changed then.
    """
    host.make_directory(OURS)
    content = json.dumps({"version": _VERSION, **asdict(state)}, default=datetime.isoformat, indent=1)
    host.write(PATH, content.encode(), 0o600)
