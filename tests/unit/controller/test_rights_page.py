from __future__ import annotations

from pathlib import Path

from controller import rights
from controller.removal import farewell_commands

PAGE = (Path(__file__).parents[3] / "docs/reference/rights.md").read_text()


def test_every_object_that_connect_installs_is_documented() -> None:
    missing = [
        (obj["kind"], obj["metadata"]["name"])
        for obj in rights.objects()
        if obj["kind"] not in PAGE or f"`{obj['metadata']['name']}`" not in PAGE
    ]
    assert missing == []


def test_the_commands_that_take_it_away_are_documented() -> None:
    documented = [
        line.removeprefix("$ ") for line in PAGE.splitlines() if line.startswith("$ kubectl delete")
    ]
    assert documented == [command.replace(" --context CONTEXT", "") for command in farewell_commands()]
