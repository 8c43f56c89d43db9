"""The sum over all nodes: what the hub is told, and whether pull secrets are needed beside delivery by nodes.

Pure. Called by `agent.nodes.watching` with what it has watched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from agent.nodes.leases import NodeReport
from schemas.agent_documents import AgentConfiguration
from schemas.node_documents import (
    REPORTED_NODE_LIMIT,
    ReportedNode,
    ReportedNodes,
    ReportedVerification,
)

# A driver writes every five minutes.
SILENT = timedelta(minutes=10)
LATE = timedelta(minutes=10)
# A node that joins has credentials within seconds; filling every namespace for it would be for nothing.
PATIENCE = timedelta(minutes=2)
# Nodes that are down or gave up are named after ten minutes, and left behind after these.
GIVEN_UP = timedelta(minutes=15)

_READY = "ready"
_REMOVED = "removed"
_EXISTING = "ExistingProvider"
_PENDING = "pending"
_STATES = frozenset(
    {_READY, "restarting", "waiting", "rolledBack", "unsupported", "refused", "failed", _PENDING, _REMOVED}
)
# A driver in one of these does not try again by itself while it gives back.
_ENDED = frozenset({"rolledBack", "refused", "unsupported", "failed"})


class Secrets(StrEnum):
    """What is to become of pull secrets."""

    FILL = "fill"  # every selected namespace has one
    HOLD = "hold"  # those that are there stay good; nothing more is made
    GIVE_BACK = "giveBack"


@dataclass(frozen=True)
class Scene:
    """What is known of the nodes at one moment.

    `selected` are the Nodes of the selector, `others` the rest. `unready_since` holds the selected ones without
    credentials of their own, and since when this agent has seen them so.
    """

    selected: Collection[str]
    others: Collection[str]
    reports: Mapping[str, NodeReport]
    unready_since: Mapping[str, datetime]
    now: datetime


def delivers(report: NodeReport | None) -> bool:
    """Whether a node has credentials of its own, as far as its driver's last word goes: what it put there stays."""
    return report is not None and report.state == _READY


def serving(configuration: AgentConfiguration, scene: Scene) -> ReportedNodes:
    """The sum while nodes are served: over the selected ones, in the configuration's generation."""
    counts: Counter[str] = Counter()
    not_done = []
    existing = 0
    for name in sorted(scene.selected):
        report = scene.reports.get(name)
        if report is None or report.generation < configuration.generation or report.state not in _STATES:
            node = _pending(name, report, scene.now)
        elif report.state == _REMOVED:
            node = ReportedNode(name, _PENDING, message="its driver has not taken it up yet")
        else:
            node = _as_reported(report, scene.now)
        counts[node.state] += 1
        if node.state != _READY:
            not_done.append(node)
        elif node.reason == _EXISTING:
            existing += 1
    chosen = [scene.reports[name] for name in sorted(scene.selected) if name in scene.reports]
    expiries = [report.token_expires_at for report in chosen if report.token_expires_at is not None]
    late = [name for name in (node.name for node in not_done) if _age(scene, name) >= LATE]
    return replace(
        _counted(counts),
        desired=len(scene.selected),
        existing=existing,
        late=len(late),
        not_done=tuple(sorted(not_done, key=_urgency)[:REPORTED_NODE_LIMIT]),
        token_expires_at=min(expiries, default=None),
        verified=_verified(chosen),
    )


def leaving(configuration: AgentConfiguration, scene: Scene, waited: timedelta) -> ReportedNodes:
    """The sum while drivers give back: over the nodes that have reported. `waited`: since they were asked.

    A Node that does not exist any more has nothing to give back; one that never reported was never changed.
    """
    counts: Counter[str] = Counter()
    not_done = []
    existing = {*scene.selected, *scene.others}
    names = sorted(existing & scene.reports.keys())
    for name in names:
        node = _as_reported(scene.reports[name], scene.now)
        current = scene.reports[name].generation >= configuration.generation
        if node.state == _REMOVED and (current or node.silent):
            counts[_REMOVED] += 1
            continue
        if not current or node.state not in _STATES:
            node = _pending(name, scene.reports[name], scene.now)
        counts[node.state] += 1
        not_done.append(node)
    hopeless = all(node.silent or node.state in _ENDED for node in not_done)
    return replace(
        _counted(counts),
        desired=len(names),
        not_done=tuple(sorted(not_done, key=_urgency)[:REPORTED_NODE_LIMIT]),
        left=not not_done or (hopeless and waited >= GIVEN_UP),
    )


def secrets_for(configuration: AgentConfiguration, scene: Scene | None) -> Secrets:
    """What is to become of pull secrets; `scene` is None while nothing is known of the nodes.

    Where nodes do not deliver yet, pull secrets bridge the time. Once they do, secrets stay until all of them do, so
    that no pull is without credentials in between.
    """
    if configuration.removing:
        return Secrets.GIVE_BACK
    if configuration.pull_secrets == "always":
        return Secrets.FILL
    if scene is None:
        return Secrets.HOLD
    missing = [name for name in scene.selected if not delivers(scene.reports.get(name))]
    if configuration.pull_secrets == "never":
        # A node that has come to its end will not get better by secrets that nobody wants.
        moving = [name for name in missing if _state(scene, name) not in _ENDED]
        return (
            Secrets.HOLD if moving and all(_age(scene, name) < LATE for name in moving) else Secrets.GIVE_BACK
        )
    nobody_delivers = len(missing) == len(scene.selected)
    too_long = any(_age(scene, name) >= PATIENCE for name in missing)
    ended = any(_state(scene, name) in _ENDED for name in missing)
    if scene.others or nobody_delivers or too_long or ended:
        return Secrets.FILL
    return Secrets.HOLD if missing else Secrets.GIVE_BACK


def look_again_in(scene: Scene) -> float | None:
    """Seconds until a node that is not ready gets on somebody's nerves; None: none is about to."""
    ages = [_age(scene, name) for name in scene.unready_since]
    left = [limit - age for age in ages for limit in (PATIENCE, LATE) if age < limit]
    return None if not left else min(left).total_seconds()


def _counted(counts: Counter[str]) -> ReportedNodes:
    return ReportedNodes(
        ready=counts[_READY],
        restarting=counts["restarting"],
        waiting=counts["waiting"],
        rolled_back=counts["rolledBack"],
        unsupported=counts["unsupported"],
        refused=counts["refused"],
        failed=counts["failed"],
        pending=counts[_PENDING],
        removed=counts[_REMOVED],
    )


def _age(scene: Scene, name: str) -> timedelta:
    return scene.now - scene.unready_since.get(name, scene.now)


def _state(scene: Scene, name: str) -> str:
    report = scene.reports.get(name)
    return report.state if report is not None else _PENDING


def _as_reported(report: NodeReport, now: datetime) -> ReportedNode:
    return ReportedNode(
        name=report.node,
        state=report.state,
        reason=report.reason,
        message=report.message,
        distribution=report.distribution,
        silent=now - report.written_at >= SILENT,
    )


def _pending(name: str, report: NodeReport | None, now: datetime) -> ReportedNode:
    if report is None:
        return ReportedNode(name, _PENDING, message="no driver has reported", silent=True)
    silent = now - report.written_at >= SILENT
    message = f"its driver has not answered yet; its last word was {report.state}"
    return ReportedNode(name, _PENDING, "", message, report.distribution, silent)


def _urgency(node: ReportedNode) -> tuple[bool, str]:
    """Those that need a person come first."""
    return node.state not in _ENDED, node.name


def _verified(reports: Collection[NodeReport]) -> ReportedVerification:
    proofs = [(report, report.verified) for report in reports if report.verified is not None]
    failed = [(report, proof) for report, proof in proofs if not proof.succeeded]
    at = min((proof.at for _, proof in proofs if proof.succeeded), default=None)
    if not failed:
        return ReportedVerification(at)
    report, proof = failed[0]
    return ReportedVerification(at, len(failed), report.node, proof.code, proof.message)
