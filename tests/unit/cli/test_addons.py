from __future__ import annotations

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
