from __future__ import annotations

from pathlib import Path

from controller import rights
from kube.objects import NAMESPACE

PAGE = (Path(__file__).parents[3] / "docs/reference/rights.md").read_text()


def test_every_object_that_connect_installs_is_documented() -> None:
    missing = [
        (obj["kind"], obj["metadata"]["name"])
        for obj in rights.objects()
        if obj["kind"] not in PAGE or f"`{obj['metadata']['name']}`" not in PAGE
    ]
    assert missing == []


def test_the_commands_that_take_it_away_are_documented_and_the_namespace_comes_last() -> None:
    documented = [
        line.removeprefix("$ kubectl delete ")
        for line in PAGE.splitlines()
        if line.startswith("$ kubectl delete")
    ]
    outside = [obj for obj in rights.objects() if "namespace" not in obj["metadata"]]
    assert set(documented) == {f"{obj['kind'].lower()} {obj['metadata']['name']}" for obj in outside}
    assert documented[-1].startswith(NAMESPACE.kind.lower())
