"""Questions to IAM that come while another one is under way: the newest is the one that is answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from controller.iam_checks import Answer, IamChecks
from tests.contract.controller.harness import BOTH, ROLE_ARN, Hub
from tests.unit.agent.cell import eventually

OTHER_ROLE = f"{ROLE_ARN}-other"


class Slow:
    """In AWS's place: answers nothing as long as it is held, and says about whom it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.released = threading.Event()

    def ask(self, _org: str, wanted: Any) -> Answer:
        self.asked.append(str(wanted.role))
        self.released.wait(20)
        return Answer(None, reason="AWS does not answer")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, ready_hub: Hub) -> Iterator[Slow]:
    made = Slow()
    monkeypatch.setattr(IamChecks, "_ask", made.ask)
    ready_hub.restart(iam_check_role="pullpass-read")
    yield made
    made.released.set()


def told(hub: Hub) -> str:
    hub.run()
    return str(hub.ecr().details["iam"]["reason"])


def test_a_change_during_a_check_is_checked_although_the_answer_stays_the_same(
    ready_hub: Hub, slow: Slow
) -> None:
    woken: list[str] = []
    ready_hub.reconciler._iam._changed = woken.append
    slow.released.set()
    ready_hub.run()
    eventually(lambda: woken)
    slow.released.clear()
    ready_hub.clock.advance(301)
    ready_hub.run()
    eventually(lambda: len(slow.asked) == 2)
    ready_hub.wish({**BOTH, "awsECR": {"roleArn": OTHER_ROLE}})
    ready_hub.run()
    woken.clear()
    slow.released.set()

    eventually(lambda: woken)

    assert OTHER_ROLE == slow.asked[2]
    assert "not checked: AWS does not answer" == told(ready_hub)
