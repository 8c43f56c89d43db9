"""A change of a node, step by step, none of which a kill can turn into a lost node.

The order, for installing and for removing alike: remember the files, put the watcher on disk, put the files, ask the
watcher for the restart, hear its word. Every step can be repeated, and undone as long as no restart was asked for.
Files appear complete or not at all, the plugin before the configuration that names it, the configuration before the
flags that name it; so the kubelet may be restarted by anybody at any moment. `loop` and `install` call this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from agent.node import state as states
from agent.node import watcher
from agent.node.distributions import OURS, Layout
from agent.node.host import Host, HostError, temporary_name
from agent.node.plan import Plan, Target
from agent.node.provider import CA_BUNDLE_FILE, TOKEN_FILE
from agent.node.provider_config import PROVIDER_NAME
from agent.node.state import Before, RolledBack, State

_BEFORE = f"{OURS}/before"
_MODE = 0o600  # a proxy's address may hold a password


class Step(Protocol):
    """One act on the node. `apply` takes the record and gives the one that is true afterwards."""

    def apply(self, host: Host, state: State) -> State: ...

    def undo(self, host: Host, state: State) -> State: ...


@dataclass(frozen=True)
class Remember:
    """Copies the files that are to change. Copies of an unfinished change are kept: they are the last good ones."""

    targets: Sequence[Target]
    plan: Plan
    generation: int

    def apply(self, host: Host, state: State) -> State:
        state = make_directory(host, state, _BEFORE)
        before = [] if state.phase == "settled" else list(state.before)
        known = {one.path for one in before}
        for target in self.targets:
            path = host.resolve(target.path)
            if path in known:
                continue
            copy = f"{_BEFORE}/{len(before)}" if host.kind(path) == "file" else None
            if copy:
                host.copy(path, copy)
            before.append(Before(path, copy))
        changed = replace(
            state,
            phase="changing",
            target=self.plan.hash,
            generation=self.generation,
            before=tuple(before),
            rolled_back=None,
        )
        states.write(host, changed)
        return changed

    def undo(self, host: Host, state: State) -> State:
        return settle(host, replace(state, phase="settled", target=state.hash))


@dataclass(frozen=True)
class PlaceWatcher:
    """The unit and its script: from here on a reboot is safe whatever the kubelet says to the new files."""

    tries: int
    health: str

    def apply(self, host: Host, state: State) -> State:
        watcher.place(host, watcher.script(state.layout.service, self.tries, self.health, state.before))
        return state

    def undo(self, host: Host, state: State) -> State:
        watcher.remove(host)
        return state


@dataclass(frozen=True)
class PutFile:
    """One file as it should be."""

    target: Target

    def apply(self, host: Host, state: State) -> State:
        path, content = self.target.path, self.target.content
        if content is None:
            host.remove(path)
            return state
        state = make_directory(host, state, path.rpartition("/")[0])
        host.write(path, content, None if host.kind(path) else _MODE)
        return state

    def undo(self, host: Host, state: State) -> State:
        path = host.resolve(self.target.path)
        for one in state.before:
            if one.path == path and one.copy:
                host.copy(one.copy, path)
            elif one.path == path:
                host.remove(path)
        return state


@dataclass(frozen=True)
class AskRestart:
    """Gives the word to the watcher."""

    def apply(self, host: Host, state: State) -> State:
        watcher.want_restart(host)  # before the record says so: a watcher started without it restarts nothing
        asked = replace(state, phase="restarting")
        states.write(host, asked)
        watcher.start(host)
        return asked

    def undo(self, host: Host, state: State) -> State:
        host.remove(watcher.WANTED)
        return replace(state, phase="changing")


def change(host: Host, state: State, plan: Plan, generation: int) -> State:
    """Carries a plan out up to the request for the restart; `finish` hears how it went.

    Raises:
        HostError: a step failed; the node is as it was.
    """
    health = watcher.HEALTH if host.answers(watcher.HEALTH) else ""
    steps: list[Step] = [
        Remember(plan.targets, plan, generation),
        PlaceWatcher(watcher.SERVER_TRIES if state.layout.server else watcher.TRIES, health),
        *(PutFile(target) for target in plan.targets),
        AskRestart(),
    ]
    begun: list[Step] = []
    try:
        for step in steps:
            begun.append(step)
            state = step.apply(host, state)
    except HostError:
        state = states.read(host) or state
        for step in reversed(begun):
            state = step.undo(host, state)
        raise
    return state


def put_without_restart(host: Host, state: State, plan: Plan, generation: int) -> State:
    """The files alone, for a kubelet that has not started yet.

    Raises:
        HostError: a file cannot be written.
    """
    for target in plan.targets:
        state = PutFile(target).apply(host, state)
    put = replace(state, target=plan.hash, hash=plan.hash, generation=generation, rolled_back=None)
    states.write(host, put)
    return put


def finish(host: Host, state: State) -> State:
    """Hears the watcher's word; the state stays `restarting` while it has none.

    Raises:
        HostError: the watcher cannot be started, or the record not be written.
    """
    word = watcher.outcome(host)
    if word is None:
        if not watcher.runs(host):
            watcher.start(host)
        return state
    if word == "healthy":
        return settle(host, replace(state, phase="settled", hash=state.target, rolled_back=None))
    reason = watcher.why(host) or "it was not healthy in time"
    failed = RolledBack(state.target, state.generation, reason, host.now())
    return settle(host, replace(state, phase="settled", target=state.hash, rolled_back=failed))


def settle(host: Host, state: State) -> State:
    """Writes that the change is over, then takes the watcher and the copies away."""
    copies = [one.copy for one in state.before if one.copy]
    settled = replace(state, before=())
    states.write(host, settled)
    watcher.remove(host)
    for copy in copies:
        host.remove(copy)
    return settled


def make_directory(host: Host, state: State, path: str) -> State:
    """Makes a folder; the ones that are new are in the record before they are on disk."""
    missing = []
    parent = path
    while parent and host.kind(parent) is None:
        missing.append(parent)
        parent = parent.rpartition("/")[0]
    new = [one for one in reversed(missing) if one not in state.directories and one != OURS]
    if new:
        state = replace(state, directories=(*state.directories, *new))
        states.write(host, state)
    host.make_directory(path)
    return state


def clean(host: Host, layout: Layout | None, state: State | None) -> None:
    """Takes away every file of ours that no kubelet reads any more, the record last.

    Raises:
        HostError: a file cannot be removed.
    """
    watcher.remove(host)
    layouts = [one for one in (layout, state.layout if state else None) if one]
    for one in layouts:
        plugin = f"{one.bin_directory}/{PROVIDER_NAME}"
        unfinished = [temporary_name(path) for path in (plugin, one.config, one.flags_file) if path]
        for path in (plugin, *unfinished):
            host.remove(path)
    host.remove(temporary_name(watcher.UNIT))
    for path in (TOKEN_FILE, CA_BUNDLE_FILE):
        host.remove(path)
    for name in host.names(_BEFORE):
        host.remove(f"{_BEFORE}/{name}")
    for directory in reversed(state.directories if state else ()):
        host.remove(directory)
    host.remove(_BEFORE)
    for name in host.names(OURS):
        if f"{OURS}/{name}" != states.PATH:
            host.remove(f"{OURS}/{name}")
    host.remove(states.PATH)
    host.remove(OURS)
