from __future__ import annotations

import pytest

from tests.support.hub import ROLE_ARN, manifest, status
from tests.unit.cli.served import Shell, rows


def test_enabling_awsecr_brings_what_it_needs(shell: Shell) -> None:
    shell.hub.put(manifest(addOns={}))
    shell.fine("addons", "enable", "demo", "awsECR", "--role-arn", ROLE_ARN)
    assert {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE_ARN}} == shell.hub.show("demo")["spec"][
        "addOns"
    ]


def test_what_is_not_named_stays(shell: Shell) -> None:
    shell.hub.put({**manifest(), "settings": {"awsECR": {"delivery": "pullSecret"}}})
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop/web:1"
    shell.fine("addons", "enable", "demo", "awsECR", "--verify-image", image)
    shown = shell.hub.show("demo")
    assert {"delivery": "pullSecret", "verifyImage": image} == shown["settings"]["awsECR"]
    assert ROLE_ARN == shown["spec"]["addOns"]["awsECR"]["roleArn"]


def test_a_role_is_awsecrs_alone(shell: Shell) -> None:
    shell.hub.put(manifest())
    result = shell.pullpass("addons", "enable", "demo", "awsWorkloadIdentity", "--role-arn", ROLE_ARN)
    assert 2 == result.exit_code


def test_a_disabled_add_on_is_gone_from_the_manifest(shell: Shell) -> None:
    shell.hub.put(manifest())
    shell.fine("addons", "disable", "demo", "awsECR")
    assert {"awsWorkloadIdentity": {}} == shell.hub.show("demo")["spec"]["addOns"]


def test_disabling_what_another_needs_fails_with_the_hubs_words(shell: Shell) -> None:
    shell.hub.put(manifest())
    assert 1 == shell.pullpass("addons", "disable", "demo", "awsWorkloadIdentity").exit_code


def test_the_states_are_listed(shell: Shell) -> None:
    shell.hub.put(manifest())
    listed = rows(shell.fine("addons", "status", "demo"))
    assert [["awsECR", "Installing"], ["awsWorkloadIdentity", "Installing"]] == sorted(
        row[:2] for row in listed
    )


def test_the_trust_policy_is_printed_ready_for_iam(shell: Shell) -> None:
    shell.hub.put(manifest())
    shell.hub.report("demo", status())
    assert '"sts:AssumeRoleWithWebIdentity"' in shell.fine("trust-policy", "demo")


def test_a_trust_policy_that_is_not_known_yet_is_a_failure(shell: Shell) -> None:
    shell.hub.put(manifest())
    result = shell.pullpass("trust-policy", "demo", "--only")
    assert (1, True) == (result.exit_code, "not known yet" in result.stderr)


def test_any_other_setting_is_set_by_its_path(shell: Shell) -> None:
    shell.hub.put({**manifest(), "settings": {"awsECR": {"node": {"maxUnavailable": 2}}}})
    shell.fine(
        *("addons", "enable", "demo", "awsECR", "--delivery", "node"),
        *("--set", "node.restartDeviceNodes=true", "--set", "identity=shared"),
    )
    assert {
        "delivery": "node",
        "identity": "shared",
        "node": {"maxUnavailable": 2, "restartDeviceNodes": True},
    } == shell.hub.show("demo")["settings"]["awsECR"]


def test_null_is_the_default_again(shell: Shell) -> None:
    shell.hub.put({**manifest(), "settings": {"awsECR": {"delivery": "node", "identity": "shared"}}})
    shell.fine("addons", "enable", "demo", "awsECR", "--set", "identity=null")
    assert {"delivery": "node"} == shell.hub.show("demo")["settings"]["awsECR"]


@pytest.mark.parametrize("setting", ["identity", "=shared", "node=[", "a=1 --set a.b=2"])
def test_what_is_no_setting_is_wrong_usage(shell: Shell, setting: str) -> None:
    shell.hub.put(manifest())
    result = shell.pullpass("addons", "enable", "demo", "awsECR", "--set", *setting.split())
    assert (2, True) == (result.exit_code, "--set" in result.stderr)


def test_a_setting_that_the_hub_does_not_know_is_refused_in_its_words(shell: Shell) -> None:
    shell.hub.put(manifest())
    result = shell.pullpass("addons", "enable", "demo", "awsECR", "--set", "nodes.x=1")
    assert (1, True) == (result.exit_code, "settings.awsECR.nodes" in result.stderr)
