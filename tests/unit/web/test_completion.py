"""What the editor completes from is what the API says of manifests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.console import Console


@pytest.fixture
def root(console: Console) -> Any:
    return console.browser("editor").get("/clusters/-schema").json


def at(node: Any, *path: str) -> Any:
    for step in path:
        node = node["members"][step]
    return node


def test_a_manifest_has_what_a_person_writes_and_nothing_of_the_servers(root: Any) -> None:
    assert ["description", "kind", "name", "settings", "spec", "tags"] == sorted(root["members"])


@pytest.mark.parametrize(
    ("path", "choices"),
    [
        (("kind",), ["mk8s"]),
        (("settings", "awsECR", "delivery"), ["auto", "node", "pullSecret"]),
        (("settings", "awsECR", "pullSecret", "serviceAccounts"), ["all", "default", "none"]),
        (("settings", "awsECR", "node", "restartDeviceNodes"), ["true", "false"]),
        (("settings", "awsWorkloadIdentity", "issuer"), ["cluster", "published"]),
        (
            ("spec", "provider", "hetzner", "nodePools", "taints", "effect"),
            ["NoSchedule", "PreferNoSchedule", "NoExecute"],
        ),
    ],
)
def test_choices_are_known_at_every_level(root: Any, path: tuple[str, ...], choices: list[str]) -> None:
    assert choices == at(root, *path)["choices"]


def test_a_list_says_so_and_has_the_members_of_its_items(root: Any) -> None:
    pools = at(root, "spec", "provider", "aws", "nodePools")
    assert pools["list"]
    assert "instanceTypes" in pools["members"]


def test_what_is_expected_is_said(root: Any) -> None:
    assert "the ARN of an IAM role" in at(root, "spec", "addOns", "awsECR", "roleArn")["expected"]


def test_each_add_on_and_provider_is_there(root: Any) -> None:
    assert {"awsECR", "awsWorkloadIdentity"} <= at(root, "spec", "addOns")["members"].keys()
    assert {"generic", "hetzner", "aws", "gcp"} <= at(root, "spec", "provider")["members"].keys()


def test_a_viewer_edits_nothing_and_needs_no_completion(console: Console) -> None:
    assert 403 == console.browser("viewer").get("/clusters/-schema").status_code
