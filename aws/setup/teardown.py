"""What may go when clusters leave: our statements, our policy, the role and the provider where nothing else needs them.

Called by `cli` for `pullpass aws teardown`. What is not known to be ours stays, and is named.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from aws.setup import trust
from aws.setup.iam_state import IamState, ProviderState, RoleState
from aws.setup.steps import (
    DeleteInlinePolicy,
    DeleteProvider,
    DeleteRole,
    DetachPolicy,
    Plan,
    Step,
    UntagRole,
    UpdateTrustPolicy,
)
from aws.setup.wanted import ATTACHED_TAG, INLINE_POLICY_NAME, MANAGED_BY, Wanted, managed_policy_arn

_STACK_TAG = "aws:cloudformation:stack-id"


def teardown(wanted: Wanted, state: IamState, leaving: Collection[str]) -> Plan:
    """The steps that take the clusters `leaving` (uids) out of AWS; the others of `wanted` keep all they need.

    `state.named_by` has to be read; a provider of whose other users nothing is known stays.
    """
    gone = replace(wanted, trusted=tuple(one for one in wanted.trusted if one.uid in leaving))
    kept = replace(wanted, trusted=tuple(one for one in wanted.trusted if one.uid not in leaving))
    role_part, still_named = _role(gone, kept, state.role)
    kept_urls = {provider.url for provider in kept.providers}
    parts = [role_part]
    for provider in gone.providers:
        found = state.providers.get(provider.url)
        if found is not None and provider.url not in kept_urls:
            parts.append(_provider(found, state, still_named))
    return Plan(
        steps=tuple(step for part in parts for step in part.steps),
        notes=tuple(note for part in parts for note in part.notes),
    )


def is_ours(tags: Mapping[str, str]) -> bool:
    """Whether we made it, and no CloudFormation stack did, which would make it again."""
    name, value = MANAGED_BY
    return tags.get(name) == value and _STACK_TAG not in tags


def _role(gone: Wanted, kept: Wanted, role: RoleState | None) -> tuple[Plan, frozenset[str]]:
    """The role's part, and the ARNs of providers that its trust policy names afterwards."""
    if role is None:
        return Plan(), frozenset()
    name = gone.role.name
    merged = trust.without(role.trust_policy, gone.statements)
    # Our policy is for all clusters of ours; another organisation's go by our Sids too.
    pieces = [] if kept.trusted or merged.strays else _own_policies(role, name)
    named = trust.providers_named(merged.document)
    if merged.foreign:
        note = f"{role.arn} stays, because it trusts others too"
    elif kept.trusted:
        note = f"{role.arn} stays, because {', '.join(one.name for one in kept.trusted)} is to use it"
    elif not is_ours(role.tags):
        note = f"{role.arn} stays, because Pullpass did not make it; it trusts nobody any more"
    elif foreign := _foreign_things(role, pieces):
        note = f"{role.arn} stays, because it has {', '.join(foreign)} of others; it trusts nobody any more"
    else:
        return Plan((*pieces, DeleteRole(role.arn, name))), frozenset()
    return Plan((*_closed(role, name, merged), *pieces), notes=(note,)), named


def _closed(role: RoleState, name: str, merged: trust.Merged) -> list[Step]:
    if not merged.changed:
        return []
    summary = f"trust policy: take out {', '.join(merged.removed)}"
    if merged.foreign == 0:
        summary += ", and trust nobody"
    return [UpdateTrustPolicy(role.arn, name, role.trust_policy, merged.document, summary)]


def _own_policies(role: RoleState, name: str) -> list[Step]:
    steps: list[Step] = []
    if INLINE_POLICY_NAME in role.inline:
        steps.append(DeleteInlinePolicy(role.arn, name, INLINE_POLICY_NAME))
    attached = role.tags.get(ATTACHED_TAG)
    if attached is not None:
        arn = managed_policy_arn(role.arn.split(":")[1], attached)
        if arn in role.attached:
            steps.append(DetachPolicy(role.arn, name, arn))
        steps.append(UntagRole(role.arn, name, (ATTACHED_TAG,)))
    return steps


def _foreign_things(role: RoleState, pieces: Collection[Step]) -> list[str]:
    """What stands on a role of ours that is not; IAM would refuse to delete the role with any of it."""
    detached = {step.policy_arn for step in pieces if isinstance(step, DetachPolicy)}
    return [
        *(f"the policy {policy}" for policy in role.inline if policy != INLINE_POLICY_NAME),
        *(f"the managed policy {arn.rpartition('/')[2]}" for arn in role.attached if arn not in detached),
        *(f"the instance profile {profile}" for profile in role.instance_profiles),
    ]


def _provider(found: ProviderState, state: IamState, still_named: Collection[str]) -> Plan:
    own = None if state.role is None else state.role.arn
    if not is_ours(found.tags):
        return Plan(notes=(f"{found.arn} stays, because Pullpass did not make it",))
    if state.named_by is None:
        return Plan(notes=(f"{found.arn} stays, because who else uses it could not be read",))
    users = [role for role in state.named_by.get(found.arn, ()) if role != own]
    if found.arn in still_named and own is not None:
        users.append(own)
    if users:
        return Plan(notes=(f"{found.arn} stays, because {', '.join(sorted(users))} trusts it",))
    return Plan((DeleteProvider(found.arn),))
