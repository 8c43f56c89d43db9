from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.nodes.leases import NodeReport, NodeVerification
from agent.nodes.summing import Scene, Secrets, leaving, look_again_in, secrets_for, serving
from schemas.agent_documents import AgentConfiguration

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def configuration(**changes: Any) -> AgentConfiguration:
    members: dict[str, Any] = {
        "generation": 3,
        "cluster_uid": "0190",
        "organisation": "acme",
        "cluster": "demo",
        "removing": False,
        "role_arn": "arn:aws:iam::123456789012:role/pull",
        "audience": "sts.amazonaws.com",
        "region": None,
        "registries": (),
        "pull_secrets": "rest",
        "nodes": "serving",
    }
    return AgentConfiguration(**{**members, **changes})


def report(node: str, state: str = "ready", **members: Any) -> NodeReport:
    told: dict[str, Any] = {
        "generation": 3,
        "reason": "",
        "message": "",
        "distribution": "kubeadm",
        "written_at": NOW - MINUTE,
    }
    return NodeReport(node, state=state, **{**told, **members})


def scene(*reports: NodeReport, missing: tuple[str, ...] = (), **members: Any) -> Scene:
    found: dict[str, Any] = {
        "selected": {*(each.node for each in reports), *missing},
        "others": set(),
        "reports": {each.node: each for each in reports},
        "unready_since": {},
        "now": NOW,
    }
    return Scene(**{**found, **members})


def test_every_node_is_counted_once_by_its_state() -> None:
    states = ("ready", "restarting", "waiting", "rolledBack", "unsupported", "refused", "failed")
    found = serving(configuration(), scene(*(report(state, state) for state in states), missing=("new",)))
    assert (found.desired, found.pending) == (8, 1)
    assert [
        found.ready,
        found.restarting,
        found.waiting,
        found.rolled_back,
        found.unsupported,
        found.refused,
        found.failed,
    ] == [1] * 7


def test_what_was_said_of_an_older_generation_is_pending() -> None:
    found = serving(configuration(), scene(report("a", generation=2)))
    assert (found.ready, found.pending) == (0, 1)
    assert "last word was ready" in found.not_done[0].message


def test_a_node_that_gave_back_and_is_selected_again_is_pending() -> None:
    found = serving(configuration(), scene(report("a", "removed")))
    assert (found.pending, found.removed) == (1, 0)


def test_those_that_need_a_person_are_listed_first_and_no_more_than_twenty() -> None:
    waiting = [report(f"a{number:02}", "waiting") for number in range(30)]
    found = serving(configuration(), scene(*waiting, report("z", "refused")))
    assert (len(found.not_done), found.not_done[0].name) == (20, "z")


def test_the_earliest_token_is_told() -> None:
    early, late = NOW + MINUTE, NOW + 2 * MINUTE
    found = serving(
        configuration(), scene(report("a", token_expires_at=late), report("b", token_expires_at=early))
    )
    assert found.token_expires_at == early


def test_one_failed_verification_is_told_whatever_the_others_say() -> None:
    good = NodeVerification(NOW, succeeded=True, code="", message="")
    bad = NodeVerification(NOW, succeeded=False, code="EcrAccessDenied", message="no")
    found = serving(configuration(), scene(report("a", verified=good), report("b", verified=bad)))
    assert (found.verified.at, found.verified.failed, found.verified.node) == (NOW, 1, "b")


def test_an_existing_provider_counts_as_ready_and_is_told() -> None:
    found = serving(configuration(), scene(report("a", reason="ExistingProvider"), report("b")))
    assert (found.ready, found.existing) == (2, 1)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (scene(report("a"), report("b")), Secrets.GIVE_BACK),
        (scene(report("a"), report("b", "unsupported")), Secrets.FILL),
        (scene(report("a"), report("b", "rolledBack")), Secrets.FILL),
        (scene(report("a"), report("b", "waiting")), Secrets.HOLD),
        (scene(report("a"), missing=("b",)), Secrets.HOLD),
        (scene(report("a"), missing=("b",), unready_since={"b": NOW - 2 * MINUTE}), Secrets.FILL),
        (scene(report("a", "restarting")), Secrets.FILL),
        (scene(report("a"), others={"b"}), Secrets.FILL),
        (scene(), Secrets.FILL),
        (None, Secrets.HOLD),
    ],
    ids=[
        "all nodes deliver",
        "one cannot be changed",
        "one did not come up",
        "one waits",
        "one is new",
        "one has had no credentials for two minutes",
        "none delivers yet",
        "one is not selected",
        "there are no nodes",
        "nothing is known yet",
    ],
)
def test_pull_secrets_serve_the_rest(seen: Scene | None, expected: Secrets) -> None:
    assert secrets_for(configuration(), seen) is expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (scene(report("a")), Secrets.GIVE_BACK),
        (scene(report("a"), report("b", "waiting")), Secrets.HOLD),
        (scene(report("a"), report("b", "unsupported")), Secrets.GIVE_BACK),
        (scene(report("b", "waiting"), unready_since={"b": NOW - 10 * MINUTE}), Secrets.GIVE_BACK),
        (None, Secrets.HOLD),
    ],
)
def test_secrets_that_nobody_wants_go_once_nodes_had_their_time(
    seen: Scene | None, expected: Secrets
) -> None:
    assert secrets_for(configuration(pull_secrets="never"), seen) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"pull_secrets": "always"}, Secrets.FILL), ({"removing": True}, Secrets.GIVE_BACK)],
)
def test_nodes_have_no_say_where_the_hub_has_decided(changes: dict[str, Any], expected: Secrets) -> None:
    assert secrets_for(configuration(**changes), scene(report("a"))) is expected


def test_drivers_have_left_when_all_have_given_back_in_this_generation() -> None:
    gone, old = report("a", "removed"), report("b", "removed", generation=2)
    assert leaving(configuration(), scene(gone), MINUTE).left
    assert not leaving(configuration(), scene(gone, old), MINUTE).left


def test_a_node_that_gave_back_before_and_is_silent_since_has_nothing_more() -> None:
    old = report("a", "removed", generation=2, written_at=NOW - 20 * MINUTE)
    assert leaving(configuration(), scene(old), MINUTE).left


def test_a_node_that_is_down_is_given_up_after_a_while() -> None:
    down = report("a", "ready", generation=2, written_at=NOW - 20 * MINUTE)
    first = leaving(configuration(), scene(down), 14 * MINUTE)
    then = leaving(configuration(), scene(down), 15 * MINUTE)
    assert [(each.left, [node.name for node in each.not_done]) for each in (first, then)] == [
        (False, ["a"]),
        (True, ["a"]),
    ]


def test_a_node_that_waits_for_its_turn_is_not_given_up() -> None:
    assert not leaving(configuration(), scene(report("a", "waiting")), timedelta(hours=5)).left


def test_a_node_that_is_no_more_or_never_had_a_driver_has_nothing_to_give_back() -> None:
    found = leaving(configuration(), scene(report("gone"), selected={"new"}), MINUTE)
    assert (found.desired, found.left) == (0, True)


def test_time_alone_changes_the_sum_when_a_node_has_not_been_ready_for_long() -> None:
    assert look_again_in(scene(unready_since={"a": NOW - MINUTE, "b": NOW - 9 * MINUTE})) == 60
    assert look_again_in(scene(unready_since={"a": NOW - 11 * MINUTE})) is None
