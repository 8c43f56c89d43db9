"""From what is wanted and what is there to the steps between; nothing to do gives no step.

Called by `cli` for `pullpass aws setup`, and by `controller`, which says the same differences as issues. Nothing is
ever taken from others: foreign statements, audiences and policies stay.
"""

from __future__ import annotations

from collections.abc import Mapping

from aws.issuers import judge
from aws.setup import permissions, quotas, trust
from aws.setup.documents import Document, counted_size, same
from aws.setup.iam_state import IamState, RoleState
from aws.setup.steps import (
    AddAudience,
    AttachPolicy,
    CreateProvider,
    CreateRole,
    DeleteInlinePolicy,
    DetachPolicy,
    Obstacle,
    Plan,
    PutInlinePolicy,
    SetMaxSession,
    Step,
    TagRole,
    UntagRole,
    UpdateTrustPolicy,
)
from aws.setup.wanted import (
    ATTACHED_TAG,
    INLINE_POLICY_NAME,
    PULL_ONLY,
    Provider,
    Wanted,
    managed_policy_arn,
)


def plan(wanted: Wanted, state: IamState) -> Plan:
    """The steps that make `state` hold `wanted`.

    Raises:
        ValueError: `wanted` names no cluster, or something that IAM would refuse (see `aws.setup.wanted`).
    """
    parts = [_provider(wanted, state, provider) for provider in wanted.providers]
    new_providers = sum(isinstance(step, CreateProvider) for part in parts for step in part.steps)
    if state.provider_count + new_providers > state.quotas.providers:
        parts.append(
            Plan(obstacles=(quotas.too_many_providers(wanted.role.partition, state.quotas.providers),))
        )
    if state.role is None:
        parts.append(_new_role(wanted, state))
    elif state.role.arn != str(wanted.role):
        parts.append(Plan(obstacles=(_elsewhere(wanted, state.role),)))
    else:
        parts += [
            _trust(wanted, state, state.role),
            _session(wanted, state.role),
            _permissions(wanted, state, state.role),
        ]
    return Plan(
        steps=tuple(step for part in parts for step in part.steps),
        obstacles=tuple(obstacle for part in parts for obstacle in part.obstacles),
        notes=tuple(note for part in parts for note in part.notes),
    )


def _provider(wanted: Wanted, state: IamState, provider: Provider) -> Plan:
    arn = provider.arn(wanted.role.partition, wanted.role.account)
    found = state.providers.get(provider.url)
    if found is None:
        verdict = judge(provider.url)
        if not verdict.usable:
            return Plan(obstacles=(_issuer_not_usable(verdict.message),))
        return Plan(steps=(CreateProvider(arn, provider.url, provider.audiences, wanted.tags),))
    missing = [audience for audience in provider.audiences if audience not in found.audiences]
    if len(found.audiences) + len(missing) > state.quotas.audiences:
        return Plan(obstacles=(quotas.too_many_audiences(found.arn, state.quotas.audiences),))
    return Plan(steps=tuple(AddAudience(found.arn, audience) for audience in missing))


def _issuer_not_usable(message: str) -> Obstacle:
    return Obstacle(
        "IssuerNotUsable",
        message,
        "Let the hub publish the issuer (settings.awsWorkloadIdentity.issuer: published), or give the API server a public one.",
    )


def _elsewhere(wanted: Wanted, role: RoleState) -> Obstacle:
    """A role's name is taken once in an account, whatever its path."""
    return Obstacle(
        "RoleElsewhere",
        f"the account has no {wanted.role}, and {role.arn} has its name",
        f"Give the cluster the role that is there, or one of another name: roleArn {role.arn}",
    )


def _new_role(wanted: Wanted, state: IamState) -> Plan:
    role = wanted.role
    size = counted_size(wanted.trust_policy)
    if size > state.quotas.trust_policy:
        return Plan(
            obstacles=(quotas.trust_policy_too_long(role.partition, size, state.quotas.trust_policy),)
        )
    policy, managed = wanted.inline_policy, wanted.managed_policy_arn
    tags = wanted.role_tags
    names = tuple(sorted(cluster.name for cluster in wanted.trusted))
    steps: list[Step] = [
        CreateRole(
            str(role), role.path, role.name, wanted.trust_policy, wanted.max_session_seconds, tags, names
        )
    ]
    if policy is not None:
        steps.append(PutInlinePolicy(str(role), role.name, INLINE_POLICY_NAME, policy))
    if managed is not None:
        steps.append(AttachPolicy(str(role), role.name, managed))
    return Plan(tuple(steps), () if policy is None else _inline_size(policy, state, {}))


def _trust(wanted: Wanted, state: IamState, role: RoleState) -> Plan:
    merged = trust.merge(role.trust_policy, wanted.statements)
    names = {cluster.sid: cluster.name for cluster in wanted.trusted}
    arns = [provider.arn(wanted.role.partition, wanted.role.account) for provider in wanted.providers]
    notes = [
        f"statement {sid} of {role.arn} is of a cluster that this organisation does not have; it stays"
        for sid in merged.strays
    ]
    notes += [
        f"statement {sid or 'without Sid'} of {role.arn} denies tokens, and may deny these clusters'"
        for sid in trust.denies(role.trust_policy, arns)
    ]
    if not merged.changed:
        return Plan(notes=tuple(notes))
    obstacles = []
    size = counted_size(merged.document)
    if size > state.quotas.trust_policy:
        obstacles.append(quotas.trust_policy_too_long(wanted.role.partition, size, state.quotas.trust_policy))
    gone = trust.principals_gone(merged.document)
    if gone:
        obstacles.append(
            Obstacle(
                "PrincipalGone",
                f"the trust policy of {role.arn} names principals that were deleted ({', '.join(gone)}), and IAM"
                " takes no document that does",
                "Take their statements out of the trust policy, then run this again.",
            )
        )
    changes = [
        *(f"trust {names[sid]}" for sid in merged.added),
        *(f"mend the statement of {names[sid]}" for sid in merged.mended),
        *(f"take out {sid}" for sid in merged.removed),
        *([f"keep {merged.foreign} of others"] if merged.foreign else []),
    ]
    step = UpdateTrustPolicy(
        role.arn, wanted.role.name, role.trust_policy, merged.document, "trust policy: " + ", ".join(changes)
    )
    return Plan((step,), tuple(obstacles), tuple(notes))


def _session(wanted: Wanted, role: RoleState) -> Plan:
    if role.max_session_seconds >= wanted.max_session_seconds:
        return Plan()
    return Plan((SetMaxSession(role.arn, wanted.role.name, wanted.max_session_seconds),))


def _permissions(wanted: Wanted, state: IamState, role: RoleState) -> Plan:
    part = (
        _least(wanted, state, role) if wanted.managed_policy_arn is None else _pull_only(wanted, state, role)
    )
    notes = list(part.notes)
    if role.boundary is not None:
        notes.append(f"{role.arn} has the permissions boundary {role.boundary}, which has to allow pulls too")
    return Plan(part.steps, part.obstacles, (*notes, *_denied(wanted, role)))


def _least(wanted: Wanted, state: IamState, role: RoleState) -> Plan:
    policy = wanted.inline_policy
    if policy is None:
        return Plan()
    name = wanted.role.name
    steps: list[Step] = []
    notes: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    attached_by_us = role.tags.get(ATTACHED_TAG) == PULL_ONLY
    pull_only = managed_policy_arn(wanted.role.partition, PULL_ONLY)
    own = role.inline.get(INLINE_POLICY_NAME)
    others = [held for key, held in role.inline.items() if key != INLINE_POLICY_NAME]
    others += [
        held
        for arn, held in role.attached.items()
        if held is not None and not (attached_by_us and arn == pull_only)
    ]
    partly = not wanted.permissions.exact
    if own is None and not permissions.lacks(policy, others, partly=partly):
        notes = (f"the other policies of {role.arn} allow pulls already",)
    elif own is None or not (
        same(own, policy) or (partly and not permissions.lacks(policy, [own], partly=True))
    ):
        replaces = own is not None
        steps.append(PutInlinePolicy(role.arn, name, INLINE_POLICY_NAME, policy, replaces=replaces))
        obstacles = _inline_size(policy, state, role.inline)
    if attached_by_us:
        if pull_only in role.attached:
            steps.append(DetachPolicy(role.arn, name, pull_only))
        steps.append(UntagRole(role.arn, name, (ATTACHED_TAG,)))
    return Plan(tuple(steps), obstacles, notes)


def _pull_only(wanted: Wanted, state: IamState, role: RoleState) -> Plan:
    name, arn = wanted.role.name, managed_policy_arn(wanted.role.partition, PULL_ONLY)
    steps: list[Step] = []
    obstacles: tuple[Obstacle, ...] = ()
    if arn not in role.attached:
        # The tag first: should the second step fail, a teardown looks for too much rather than for too little.
        steps += [TagRole(role.arn, name, {ATTACHED_TAG: PULL_ONLY}), AttachPolicy(role.arn, name, arn)]
        most = state.quotas.attached_policies
        if len(role.attached) >= most:
            obstacles = (quotas.too_many_attached(wanted.role.partition, role.arn, most),)
    if INLINE_POLICY_NAME in role.inline:
        steps.append(DeleteInlinePolicy(role.arn, name, INLINE_POLICY_NAME))
    return Plan(tuple(steps), obstacles)


def _denied(wanted: Wanted, role: RoleState) -> tuple[str, ...]:
    """A Deny beats whatever is added, so that it is said even where there is nothing else to do."""
    policy = wanted.inline_policy
    if policy is None:
        return ()
    attached = (document for document in role.attached.values() if document is not None)
    held = [*role.inline.values(), *attached]
    partly = not wanted.permissions.exact
    found = {lack.action for lack in permissions.lacks(policy, held, partly=partly) if lack.denied}
    return (f"a policy of {role.arn} may deny {', '.join(sorted(found))}",) if found else ()


def _inline_size(policy: Document, state: IamState, held: Mapping[str, Document]) -> tuple[Obstacle, ...]:
    size = counted_size(policy)
    size += sum(counted_size(document) for name, document in held.items() if name != INLINE_POLICY_NAME)
    if size <= state.quotas.inline_policies:
        return ()
    return (quotas.inline_policies_too_long(size, state.quotas.inline_policies),)
