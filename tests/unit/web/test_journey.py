"""The steps of an add-on, from what the API says of it."""

from __future__ import annotations

from typing import Any

import pytest

from web import journey

DONE = {"IssuerUsable": "True", "Installed": "True", "NodesReady": "True", "CredentialsVerified": "True"}


def add_on(state: str, conditions: dict[str, str], **members: Any) -> dict[str, Any]:
    """An add-on as the API shows it; a condition's message is `about TYPE`."""
    return {
        "state": state,
        "issues": [],
        "conditions": [
            {"type": kind, "status": status, "reason": "Because", "message": f"about {kind}"}
            for kind, status in conditions.items()
        ],
        **members,
    }


def marks(state: str, conditions: dict[str, str], **members: Any) -> list[str]:
    return [str(step.mark) for step in journey.steps("awsECR", add_on(state, conditions, **members))]


def test_a_way_that_was_gone_is_done_at_each_step() -> None:
    assert ["done"] * 5 == marks("Ready", DONE)


def test_while_it_installs_the_first_open_step_is_under_way_and_the_rest_waits() -> None:
    conditions = DONE | {"Installed": "False", "NodesReady": "Unknown", "CredentialsVerified": "Unknown"}
    assert ["done", "done", "busy", "waiting", "waiting"] == marks("Installing", conditions)


def test_nothing_is_applied_as_long_as_there_is_no_agent() -> None:
    found = add_on("Installing", DONE | {"Installed": "False"})
    found["conditions"][1]["reason"] = "NotInstalled"
    assert ["done", "busy", "waiting"] == [str(step.mark) for step in journey.steps("awsECR", found)][:3]


@pytest.mark.parametrize("delivery", ["pullSecret", "mixed"])
def test_nodes_do_not_look_failed_while_pull_secrets_serve(delivery: str) -> None:
    conditions = DONE | {"NodesReady": "False"}
    found = journey.steps("awsECR", add_on("Degraded", conditions, delivery=delivery))
    assert (
        journey.Step("Prepare the nodes", journey.Mark.ASIDE, "About NodesReady; pull secrets serve")
        == found[3]
    )
    assert journey.Mark.DONE == found[4].mark


def test_nodes_that_alone_deliver_do() -> None:
    assert "failed" == marks("Degraded", DONE | {"NodesReady": "False"}, delivery="node")[3]


def test_the_one_hop_that_failed_stands_out() -> None:
    assert ["done", "done", "done", "done", "failed"] == marks(
        "Failed", DONE | {"CredentialsVerified": "False"}
    )


def test_what_waits_for_a_person_is_not_a_failure() -> None:
    found = add_on("Blocked", dict.fromkeys(DONE, "False"))
    found["conditions"][1]["reason"] = "NotInstalled"
    assert ["blocked", *["waiting"] * 4] == [str(step.mark) for step in journey.steps("awsECR", found)]


def test_a_cluster_that_does_not_answer_is_the_first_step_and_what_was_true_stays() -> None:
    found = journey.steps("awsECR", add_on("Degraded", {"Reachable": "False", **DONE}))
    assert ("Reach the cluster", "failed") == (found[0].name, str(found[0].mark))
    assert {"done"} == {str(step.mark) for step in found[1:]}


def test_what_a_ready_add_on_lacks_holds_nothing_up() -> None:
    assert "aside" == marks("Ready", DONE | {"CredentialsVerified": "Unknown"})[-1]


def test_before_the_first_look_the_way_is_shown() -> None:
    found = journey.steps("awsECR", add_on("Installing", {}))
    assert ["Discover", "Apply", "Start", "Prepare", "Verify"] == [step.name.split()[0] for step in found]
    assert ["busy", *["waiting"] * 4] == [str(step.mark) for step in found]


def test_what_keeps_the_hub_from_looking_at_all_leaves_every_step_open() -> None:
    found = journey.steps("awsECR", add_on("Blocked", {"Reachable": "True", "Ready": "Unknown"}))
    assert ["waiting"] * 5 == [str(step.mark) for step in found]
    found = journey.steps("awsECR", add_on("Failed", {"Reachable": "False", "Ready": "Unknown"}))
    assert ["failed", *["waiting"] * 5] == [str(step.mark) for step in found]


def test_what_aws_refuses_so_far_is_said_with_the_end_of_the_wait() -> None:
    found = add_on("Installing", DONE | {"CredentialsVerified": "Unknown", "NodesReady": "False"})
    refused = {"code": "TrustPolicyMismatch", "message": "Not authorized.", "until": "2026-11-22T06:01:00Z"}
    step = journey.steps("awsECR", found | {"refusedSoFar": refused})[-1]
    assert ("busy", "2026-11-22T06:01:00Z") == (str(step.mark), step.until)
    assert step.words.startswith("AWS refuses so far: Not authorized. A change in IAM")


def test_removing_says_what_it_waits_for() -> None:
    (step,) = journey.steps("awsECR", add_on("Removing", {"Ready": "False"}))
    assert journey.Step("Take back what was installed", journey.Mark.BUSY, "About Ready") == step


def test_only_what_changes_by_itself_is_under_way() -> None:
    assert journey.under_way([add_on("Installing", {})])
    assert not journey.under_way([add_on("Ready", {}), add_on("Blocked", {}), add_on("Failed", {})])


def test_a_sentence_begins_with_a_capital_unless_it_begins_with_a_name() -> None:
    assert ["The agent runs", "Token, STS", "https://a.b follows", "'x' is none", ""] == [
        journey.sentence(words)
        for words in ("the agent runs", "token, STS", "https://a.b follows", "'x' is none", "")
    ]
