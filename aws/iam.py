"""IAM as `aws.setup` needs it: reads what an account holds, and carries steps out.

Called by `cli` with a person's own credentials, and by `controller` with those that may only read. boto3's clients
come from the caller. https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from botocore.exceptions import BotoCoreError, ClientError

from aws.setup import steps
from aws.setup.documents import Document, compact, same
from aws.setup.failures import SetupFailure
from aws.setup.iam_state import IamState, ProviderState, Quotas, RoleState
from aws.setup.quotas import PROVIDERS_CODE
from aws.setup.steps import Step
from aws.setup.trust import providers_named
from aws.setup.wanted import ROLE_DESCRIPTION, Provider, Wanted
from aws.user_session import failures

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient
    from types_boto3_service_quotas import ServiceQuotasClient

Wait = Callable[[float], None]

_ABSENT = "NoSuchEntity"
# IAM takes some seconds to know everywhere what was just made; in seconds, between tries.
_PAUSES = (1.0, 2.0, 4.0, 8.0, 8.0)
_BUSY = ("ConcurrentModification", "ConcurrentModificationException")


def read_state(
    client: IAMClient,
    wanted: Wanted,
    *,
    quotas: ServiceQuotasClient | None = None,
    for_teardown: bool = False,
) -> IamState:
    """What the account holds of `wanted`.

    What cannot be read and is not needed (quotas, the documents of managed policies) is left at its default. For a
    teardown every role of the account is read, to know who else names a provider, and instance profiles.

    Raises:
        SetupFailure: no answer, or the caller may not read; `denied` then.
    """
    known = _providers(client, wanted)
    missing = len(wanted.providers) - len(known)
    count = _provider_count(client) if missing else 0
    full = count + missing > Quotas().providers
    return IamState(
        account=wanted.role.account,
        providers=known,
        role=_role(client, wanted, with_profiles=for_teardown),
        quotas=_quotas(client, quotas if full else None),
        provider_count=count,
        named_by=_named_by(client) if for_teardown else None,
    )


def execute(client: IAMClient, todo: Sequence[Step], *, wait: Wait) -> Iterator[Step]:
    """Carries `todo` out in order and yields each step when it is done; `wait` lets seconds pass.

    What was just made may not be known everywhere yet: a step that says so is tried again for some seconds.

    Raises:
        SetupFailure: AWS refused a step; those before it are done, and a new plan goes on from there.
    """
    fresh = False
    for step in todo:
        for pause in (*_PAUSES, None):
            try:
                with failures(step.action):
                    _carry_out(client, step)
                break
            except SetupFailure as failure:
                if pause is None or not _may_pass(failure, fresh=fresh):
                    raise
                wait(pause)
        fresh = fresh or isinstance(step, steps.CreateRole | steps.CreateProvider)
        yield step


def _may_pass(failure: SetupFailure, *, fresh: bool) -> bool:
    if failure.code in _BUSY:
        return True
    principal_unknown = failure.code == "MalformedPolicyDocument" and "principal" in failure.message.lower()
    return fresh and (failure.code == _ABSENT or principal_unknown)


def _carry_out(client: IAMClient, step: Step) -> None:  # noqa: C901, PLR0912 - one case for each kind of step
    match step:
        case steps.CreateProvider():
            client.create_open_id_connect_provider(
                Url=step.url, ClientIDList=list(step.audiences), Tags=_tags(step.tags)
            )
        case steps.AddAudience():
            client.add_client_id_to_open_id_connect_provider(
                OpenIDConnectProviderArn=step.target, ClientID=step.audience
            )
        case steps.CreateRole():
            client.create_role(
                RoleName=step.name,
                Path=step.path,
                AssumeRolePolicyDocument=compact(step.trust_policy),
                MaxSessionDuration=step.max_session_seconds,
                Description=ROLE_DESCRIPTION,
                Tags=_tags(step.tags),
            )
        case steps.UpdateTrustPolicy():
            _update_trust_policy(client, step)
        case steps.SetMaxSession():
            client.update_role(RoleName=step.role_name, MaxSessionDuration=step.seconds)
        case steps.PutInlinePolicy():
            client.put_role_policy(
                RoleName=step.role_name, PolicyName=step.policy_name, PolicyDocument=compact(step.document)
            )
        case steps.DeleteInlinePolicy():
            client.delete_role_policy(RoleName=step.role_name, PolicyName=step.policy_name)
        case steps.AttachPolicy():
            client.attach_role_policy(RoleName=step.role_name, PolicyArn=step.policy_arn)
        case steps.DetachPolicy():
            client.detach_role_policy(RoleName=step.role_name, PolicyArn=step.policy_arn)
        case steps.TagRole():
            client.tag_role(RoleName=step.role_name, Tags=_tags(step.tags))
        case steps.UntagRole():
            client.untag_role(RoleName=step.role_name, TagKeys=list(step.names))
        case steps.DeleteRole():
            client.delete_role(RoleName=step.role_name)
        case steps.DeleteProvider():
            client.delete_open_id_connect_provider(OpenIDConnectProviderArn=step.target)


def _update_trust_policy(client: IAMClient, step: steps.UpdateTrustPolicy) -> None:
    """IAM has no conditional write: what somebody else wrote since the plan was made must not be lost."""
    now = _decoded(client.get_role(RoleName=step.role_name)["Role"]["AssumeRolePolicyDocument"])
    if not same(now, step.before):
        raise SetupFailure(
            step.action,
            f"somebody else changed the trust policy of {step.target} meanwhile: run this again",
        )
    client.update_assume_role_policy(RoleName=step.role_name, PolicyDocument=compact(step.document))


def _providers(client: IAMClient, wanted: Wanted) -> dict[str, ProviderState]:
    found: dict[str, ProviderState] = {}
    for provider in wanted.providers:
        state = _provider(client, provider.arn(wanted.role.partition, wanted.role.account), provider)
        if state is not None:
            found[provider.url] = state
    return found


def _provider(client: IAMClient, arn: str, provider: Provider) -> ProviderState | None:
    with failures("iam:GetOpenIDConnectProvider"):
        try:
            answer = client.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
        except ClientError as error:
            if _is_absent(error):
                return None
            raise
    return ProviderState(
        arn=arn,
        url=provider.url,
        audiences=tuple(answer.get("ClientIDList", ())),
        tags=_tag_map(answer.get("Tags", ())),
    )


def _role(client: IAMClient, wanted: Wanted, *, with_profiles: bool) -> RoleState | None:
    name = wanted.role.name
    with failures("iam:GetRole"):
        try:
            role = client.get_role(RoleName=name)["Role"]
        except ClientError as error:
            if _is_absent(error):
                return None
            raise
    with failures("iam:ListRolePolicies"):
        pages = client.get_paginator("list_role_policies").paginate(RoleName=name)
        names = [policy for page in pages for policy in page["PolicyNames"]]
    with failures("iam:GetRolePolicy"):
        inline = {
            policy: _decoded(client.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
            for policy in names
        }
    with failures("iam:ListAttachedRolePolicies"):
        attached = [
            policy["PolicyArn"]
            for page in client.get_paginator("list_attached_role_policies").paginate(RoleName=name)
            for policy in page["AttachedPolicies"]
        ]
    profiles: list[str] = []
    if with_profiles:
        with failures("iam:ListInstanceProfilesForRole"):
            profiles = [
                profile["InstanceProfileName"]
                for page in client.get_paginator("list_instance_profiles_for_role").paginate(RoleName=name)
                for profile in page["InstanceProfiles"]
            ]
    return RoleState(
        arn=role["Arn"],
        trust_policy=_decoded(role["AssumeRolePolicyDocument"]),
        max_session_seconds=role.get("MaxSessionDuration", 3600),
        inline=inline,
        attached={arn: _managed_document(client, arn) for arn in attached},
        tags=_tag_map(role.get("Tags", ())),
        boundary=role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        instance_profiles=tuple(profiles),
    )


def _managed_document(client: IAMClient, arn: str) -> Document | None:
    """None where it may not be read: the plan then counts nothing as allowed by it."""
    try:
        version = client.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        answer = client.get_policy_version(PolicyArn=arn, VersionId=version)
    except ClientError:
        return None
    return _decoded(answer["PolicyVersion"]["Document"])


def _quotas(client: IAMClient, quotas: ServiceQuotasClient | None) -> Quotas:
    default = Quotas()
    try:
        summary = client.get_account_summary()["SummaryMap"]
    except ClientError:
        summary = {}
    providers = default.providers
    if quotas is not None:
        # The right to read quotas is rare; without it IAM says no in the end.
        with suppress(ClientError, BotoCoreError):
            answer = quotas.get_service_quota(ServiceCode="iam", QuotaCode=PROVIDERS_CODE)
            providers = int(answer["Quota"]["Value"])
    return Quotas(
        trust_policy=summary.get("AssumeRolePolicySizeQuota", default.trust_policy),
        inline_policies=summary.get("RolePolicySizeQuota", default.inline_policies),
        attached_policies=summary.get("AttachedPoliciesPerRoleQuota", default.attached_policies),
        providers=providers,
    )


def _provider_count(client: IAMClient) -> int:
    try:
        return len(client.list_open_id_connect_providers()["OpenIDConnectProviderList"])
    except ClientError:
        return 0


def _named_by(client: IAMClient) -> dict[str, tuple[str, ...]] | None:
    found: dict[str, list[str]] = {}
    try:
        for page in client.get_paginator("list_roles").paginate():
            for role in page["Roles"]:
                for provider in providers_named(_decoded(role.get("AssumeRolePolicyDocument", {}))):
                    found.setdefault(provider, []).append(role["Arn"])
    except ClientError:
        return None
    return {provider: tuple(sorted(roles)) for provider, roles in found.items()}


def _decoded(document: Any) -> Document:
    """A policy document; boto3 has decoded it already where it knew that it is one."""
    decoded = json.loads(unquote(document)) if isinstance(document, str) else document
    return dict(decoded)


def _is_absent(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Code") == _ABSENT


def _tags(tags: Any) -> list[Any]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def _tag_map(tags: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}
