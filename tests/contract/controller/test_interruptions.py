"""Killed at any request, before or behind the server's doing: a new process converges, and nothing is left over."""

from __future__ import annotations

import pytest

from fleet import clusters
from schemas.status import State
from tests.contract.controller.harness import ALICE, Hub


def interrupted(hub: Hub, number: int, *, after: bool, runs: int) -> None:
    """Some runs with the wire broken at a request; then the process is gone."""
    hub.wire.sent.clear()
    hub.wire.break_at, hub.wire.break_after = number, after
    for _ in range(runs):
        hub.run()
        if not hub.exists():
            break
        hub.answer_as_agent()
        hub.clock.advance(1)
    hub.wire.break_at = None
    hub.reconciler.close()
    hub.restart()


@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("number", range(42))
def test_an_installation_cut_short_converges(hub: Hub, number: int, after: bool) -> None:
    interrupted(hub, number, after=after, runs=2)
    hub.settle()
    assert (hub.ecr().state, len(hub.objects())) == (State.READY, 14)


@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("number", range(48))
def test_a_removal_cut_short_leaves_nothing(ready_hub: Hub, number: int, after: bool) -> None:
    clusters.remove(ready_hub.database, ALICE, ready_hub.key, now=ready_hub.clock.now())
    interrupted(ready_hub, number, after=after, runs=3)
    if ready_hub.exists():
        ready_hub.settle()
    assert (ready_hub.exists(), ready_hub.objects()) == (False, {})
