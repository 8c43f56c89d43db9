"""An add-on's way from switched on to Ready, in steps: discover, apply, agent, nodes, verify. Pure.

Made from the conditions that the API shows; nothing here guesses. Called by `web.cluster_page`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]


class Mark(StrEnum):
    """How far a step is. `BLOCKED` waits for a person; `ASIDE` is not done, and holds nothing up."""

    DONE = "done"
    BUSY = "busy"
    BLOCKED = "blocked"
    FAILED = "failed"
    WAITING = "waiting"
    ASIDE = "aside"


@dataclass(frozen=True)
class Step:
    """One step; `words` are those of the condition behind it. `until`: when what it waits for is given up, or ""."""

    name: str
    mark: Mark
    words: str
    until: str = ""


_REACH = "Reach the cluster"
_APPLY = "Apply what belongs in the cluster"
_STEPS = (
    ("Discover the issuer", "IssuerUsable"),
    (_APPLY, "Installed"),
    ("Start the agent", "Installed"),
    ("Prepare the nodes", "NodesReady"),
    ("Serve the webhook", "WebhookServing"),
    ("Verify a pull", "CredentialsVerified"),
)
# What an add-on of this kind goes through, while nothing is known of it yet.
_EXPECTED = {
    "awsECR": ("IssuerUsable", "Installed", "NodesReady", "CredentialsVerified"),
    "awsWorkloadIdentity": ("IssuerUsable", "WebhookServing"),
}
_NOT_APPLIED = "NotInstalled"
_UNDER_WAY = frozenset({"Installing", "Removing"})
_BY_PULL_SECRETS = frozenset({"pullSecret", "mixed"})


def steps(key: str, add_on: Json) -> tuple[Step, ...]:
    """The steps of the add-on `key`, as far as its conditions go; those behind one that is not done wait."""
    state = add_on["state"]
    conditions = {condition["type"]: condition for condition in add_on["conditions"]}
    if state == "Removing":
        ready = conditions.get("Ready")
        words = "" if ready is None else sentence(ready["message"])
        return (Step("Take back what was installed", Mark.BUSY, words),)
    found: list[Step] = []
    reachable = conditions.get("Reachable")
    stopped = reachable is not None and reachable["status"] != "True"
    if reachable is not None and stopped:
        found.append(Step(_REACH, _mark(reachable, state), sentence(reachable["message"])))
    for name, kind in _STEPS:
        condition = conditions.get(kind)
        if condition is None:
            continue
        mark, words, until = _mark(condition, state), condition["message"], ""
        if name == _APPLY:
            applied = condition["reason"] != _NOT_APPLIED
            mark, words = (Mark.DONE, "") if applied else (mark, words)
        elif kind == "NodesReady" and mark is not Mark.DONE and add_on.get("delivery") in _BY_PULL_SECRETS:
            mark, words = Mark.ASIDE, f"{words}; pull secrets serve" if words else "Pull secrets serve"
        elif kind == "CredentialsVerified" and mark is Mark.BUSY and _runs(conditions):
            words, until = _verifying(words, add_on)
        if stopped and mark not in {Mark.DONE, Mark.ASIDE} and not until:
            mark, words = Mark.WAITING, ""
        stopped = stopped or mark not in {Mark.DONE, Mark.ASIDE}
        found.append(Step(name, mark, sentence(words), until))
    if not conditions.keys() & {kind for _, kind in _STEPS}:
        found += _to_come(key, busy=state == "Installing" and not stopped)
    return tuple(found)


def sentence(words: str) -> str:
    """`words` with a capital at the front, unless they begin with a name of somebody else's (`https://…`)."""
    first = words.split(" ", maxsplit=1)[0].rstrip(",;:")
    return words[:1].upper() + words[1:] if first.isalpha() else words


def under_way(add_ons: Sequence[Json]) -> bool:
    """Whether something changes by itself now, so that a page looks again soon."""
    return any(add_on["state"] in _UNDER_WAY for add_on in add_ons)


def _to_come(key: str, *, busy: bool) -> list[Step]:
    """The way as it will be; the first step is `busy` where the hub is about to take it."""
    names = [name for name, kind in _STEPS if kind in _EXPECTED.get(key, ())]
    marks = [Mark.BUSY if busy else Mark.WAITING, *(Mark.WAITING for _ in names[1:])]
    return [Step(name, mark, "") for name, mark in zip(names, marks, strict=True)]


def _runs(conditions: Mapping[str, Json]) -> bool:
    installed = conditions.get("Installed")
    return installed is not None and installed["status"] == "True"


def _verifying(words: str, add_on: Json) -> tuple[str, str]:
    """What AWS refuses in the first minute after a change counts only if it stays so: what is waited for, until when."""
    refused = add_on.get("refusedSoFar")
    if refused is None:
        asking = words or "The agent asks AWS"
        return f"{asking}; what was changed in IAM a moment ago may take a minute to count", ""
    told = f"AWS refuses so far: {refused['message'].rstrip('.')}."
    return f"{told} A change in IAM may take a minute to count; asked again every few seconds", refused[
        "until"
    ]


def _mark(condition: Json, state: str) -> Mark:
    if condition["status"] == "True":
        return Mark.DONE
    if state == "Installing":
        return Mark.BUSY
    if state == "Ready":
        return Mark.ASIDE
    if state == "Blocked":
        return Mark.BLOCKED
    return Mark.FAILED if condition["status"] == "False" else Mark.WAITING
