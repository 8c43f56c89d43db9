"""`pullpass clusters look` over the real API, with a controller that a test plays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cli.hub import Hub
from schemas.status import State
from tests.unit.cli.served import Shell
from tests.unit.cli.test_clusters import MISMATCH, connect, reported


@pytest.fixture
def failing(shell: Shell) -> Shell:
    generation = connect(shell)
    shell.hub.report("demo", reported(generation, State.FAILED, MISMATCH))
    return shell


def looked_at(shell: Shell, monkeypatch: pytest.MonkeyPatch, state: State) -> None:
    """A controller answers the next look with `state`."""
    ask = Hub.request

    def request(hub: Hub, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer = ask(hub, method, path, body)
        if path.endswith("/-look"):
            issues = () if state is State.READY else (MISMATCH,)
            shell.hub.report("demo", reported(shell.hub.stored("demo").generation, state, *issues))
        return answer

    monkeypatch.setattr(Hub, "request", request)


def test_a_look_is_asked_for(failing: Shell) -> None:
    before = failing.hub.stored("demo").generation
    assert "demo is looked at now\n" == failing.fine("clusters", "look", "demo")
    assert before + 1 == failing.hub.stored("demo").generation


def test_what_is_mended_ends_well(failing: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at(failing, monkeypatch, State.READY)
    assert "demo  Ready\n" == failing.fine("clusters", "look", "demo", "--wait")


def test_what_is_still_wrong_is_told_with_its_remedy_without_waiting_for_the_timeout(
    failing: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at(failing, monkeypatch, State.FAILED)
    result = failing.pullpass("clusters", "look", "demo", "--wait")
    assert (1, True) == (result.exit_code, MISMATCH.remedy in result.stderr)


def test_a_look_that_nobody_does_ends_with_code_3(failing: Shell) -> None:
    result = failing.pullpass("clusters", "look", "demo", "--wait", "--timeout", "0")
    assert (3, True) == (result.exit_code, "still being looked at" in result.stderr)


def test_an_old_status_does_not_pass_for_what_came_of_it(
    failing: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at(failing, monkeypatch, State.INSTALLING)
    assert 3 == failing.pullpass("clusters", "look", "demo", "--wait", "--timeout", "0").exit_code
