"""What a forgotten cluster leaves behind is listed with commands that work as they stand."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

from addon_api import remains
from fleet.records import Cluster, ClusterKey, PublishedIssuer
from tests.support import programs
from tests.support.hub import ISSUER, ROLE_ARN, START, manifest, status


def cluster(*, connected: bool = True, known: bool = True) -> Cluster:
    forgotten = Cluster(
        "uid1", ClusterKey("acme", "demo"), manifest(), {}, 1, 1, START, START, connected=connected
    )
    return replace(forgotten, status=status()) if known else forgotten


def command(what: str, issuer: PublishedIssuer | None = None) -> str:
    [found] = [
        item["command"] for item in remains.after_force(cluster(), issuer) if item["what"].startswith(what)
    ]
    return found


def test_a_cluster_that_was_never_connected_and_never_known_leaves_nothing() -> None:
    assert remains.after_force(cluster(connected=False, known=False), None) == []


def test_the_agent_goes_before_what_it_would_put_back_and_after_the_webhooks_it_answers() -> None:
    commands = [item["command"] for item in remains.after_force(cluster(), None)]
    assert commands[:2] == [
        "kubectl delete mutatingwebhookconfigurations -l app.kubernetes.io/managed-by=pullpass",
        "kubectl delete namespace pullpass-system",
    ]


def test_finalizers_go_before_the_resource_that_carries_them() -> None:
    whats = [item["what"] for item in remains.after_force(cluster(), None)]
    assert whats.index("finalizers of ECRPullSecrets") < whats.index(
        "the custom resource ECRPullSecret, with every object of it"
    )


def test_only_this_clusters_secrets_are_named() -> None:
    assert "pullpass.dev/cluster=uid1" in command("pull secrets")


def test_the_trust_in_aws_is_named_with_its_provider() -> None:
    arn = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER.removeprefix('https://')}"
    assert command("trust in this cluster").endswith(f"--open-id-connect-provider-arn {arn}")
    assert any(ROLE_ARN in item["what"] for item in remains.after_force(cluster(), None))


def test_a_published_issuer_is_named_with_the_way_to_end_it() -> None:
    issuer = PublishedIssuer("abc", "uid1", {"keys": [{}]})
    assert "pullpass issuer forget abc --org acme" == command("the published issuer", issuer)


def test_references_are_taken_away_and_those_of_others_stay(tmp_path: Path) -> None:
    programs.require("jq", make="programs")
    ours, other = {"name": "pullpass-ecr"}, {"name": "other"}
    accounts = [
        {"metadata": {"namespace": "shop", "name": "both"}, "imagePullSecrets": [other, ours]},
        {"metadata": {"namespace": "shop", "name": "ours"}, "imagePullSecrets": [ours]},
        {"metadata": {"namespace": "shop", "name": "theirs"}, "imagePullSecrets": [other]},
        {"metadata": {"namespace": "shop", "name": "none"}},
        {
            "metadata": {
                "namespace": "shop",
                "name": "marked",
                "annotations": {"pullpass.dev/image-pull-secret": "ecr,ecr-public-token"},
            },
            "imagePullSecrets": [{"name": "ecr-public-token"}, other, {"name": "ecr"}],
        },
    ]
    (tmp_path / "accounts.json").write_text(json.dumps({"items": accounts}))
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\nif [ "$1" = get ]; then cat \'{tmp_path}/accounts.json\'; else echo "$*"; fi\n'
    )
    kubectl.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", command("references")],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        '-n shop patch serviceaccount both --type merge -p {"imagePullSecrets":[{"name":"other"}]}',
        '-n shop patch serviceaccount ours --type merge -p {"imagePullSecrets":[]}',
        '-n shop patch serviceaccount marked --type merge -p {"imagePullSecrets":[{"name":"other"}]}',
    ]
