"""What of `wanted` an account does not hold, judged by effect and not by form: nobody is told to mend what works.

`plan` says how to get to our own documents; people also paste others, narrow a policy by hand, or trust more than one
cluster in one statement. What cannot be judged is said, never counted as fine. Pure. Called by `controller.iam_checks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aws.permissions_policy import PULL_ACTIONS
from aws.setup import permissions, trust
from aws.setup.documents import Document, listed, statements
from aws.setup.iam_state import IamState, RoleState
from aws.setup.wanted import Provider, TrustedCluster, Wanted

_OPERATORS = ("StringEquals", "StringLike")


class Part(StrEnum):
    """Which part of an account it is about."""

    PROVIDER = "provider"
    TRUST = "trust"
    PERMISSIONS = "permissions"
    REGISTRY = "registry"


@dataclass(frozen=True)
class Difference:
    """Something that is missing; `message` is a clause, `resource` the ARN it is about, `values` are of its issue."""

    part: Part
    message: str
    resource: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What is missing, and what could not be judged, in words."""

    differences: tuple[Difference, ...] = ()
    unjudged: tuple[str, ...] = ()


def compare(wanted: Wanted, state: IamState) -> Found:
    """What keeps the clusters of `wanted` from pulling, as far as the account itself tells.

    With `repositories` of `*` it is not known which are pulled: a policy that is narrower then is not held against it.

    Raises:
        ValueError: as `aws.setup.plan.plan`.
    """
    found = [_provider(wanted, state, provider) for provider in wanted.providers]
    arn, role = str(wanted.role), state.role
    if role is None or role.arn != arn:
        found.append(Found((Difference(Part.TRUST, f"the role {arn} does not exist", arn),)))
    else:
        found += [_trust(wanted, role), _session(wanted, role), _permissions(wanted, role)]
    return Found(
        tuple(difference for one in found for difference in one.differences),
        tuple(words for one in found for words in one.unjudged),
    )


def _provider(wanted: Wanted, state: IamState, provider: Provider) -> Found:
    arn = provider.arn(wanted.role.partition, wanted.role.account)
    there = state.providers.get(provider.url)
    if there is None:
        return Found((Difference(Part.PROVIDER, f"there is no OIDC provider for {provider.url}", arn),))
    missing = [audience for audience in provider.audiences if audience not in there.audiences]
    words = "the OIDC provider for {} does not allow the audience {}"
    return Found(tuple(Difference(Part.PROVIDER, words.format(provider.url, each), arn) for each in missing))


def _trust(wanted: Wanted, role: RoleState) -> Found:
    differences = []
    arns = [provider.arn(wanted.role.partition, wanted.role.account) for provider in wanted.providers]
    for cluster in wanted.trusted:
        refused = [
            subject
            for subject in cluster.workload.subjects
            if not _trusts(role.trust_policy, wanted, cluster, subject)
        ]
        if refused:
            words = f"the trust policy does not let {' and '.join(refused)} of {cluster.name} in"
            differences.append(Difference(Part.TRUST, words, role.arn))
    unjudged = tuple(
        f"statement {sid or 'without Sid'} of the trust policy denies tokens, and may deny these"
        for sid in trust.denies(role.trust_policy, arns)
    )
    return Found(tuple(differences), unjudged)


def _trusts(document: Document, wanted: Wanted, cluster: TrustedCluster, subject: str) -> bool:
    """Whether a statement surely lets the subject in: conditions other than `:aud` and `:sub` are not relied upon."""
    workload = cluster.workload
    provider = Provider(workload.issuer, ()).arn(wanted.role.partition, wanted.role.account)
    issuer = workload.issuer.removeprefix("https://")
    claims = {f"{issuer}:aud": workload.audience, f"{issuer}:sub": subject}
    return any(isinstance(one, Mapping) and _lets_in(one, provider, claims) for one in statements(document))


def _lets_in(statement: Mapping[str, Any], provider: str, claims: Mapping[str, str]) -> bool:
    principal = statement.get("Principal")
    named = listed(principal.get("Federated")) if isinstance(principal, Mapping) else []
    actions = {str(action).lower() for action in listed(statement.get("Action"))}
    if statement.get("Effect") != "Allow" or provider not in named:
        return False
    if not actions & {trust.WEB_IDENTITY.lower(), "sts:*", "*"}:
        return False
    condition = statement.get("Condition") or {}
    return isinstance(condition, Mapping) and all(
        operator in _OPERATORS and isinstance(tests, Mapping) and _holds(operator, tests, claims)
        for operator, tests in condition.items()
    )


def _holds(operator: str, tests: Mapping[str, Any], claims: Mapping[str, str]) -> bool:
    for key, expected in tests.items():
        value = next((claims[name] for name in claims if name.lower() == str(key).lower()), None)
        if value is None or not any(_equal(operator, str(one), value) for one in listed(expected)):
            return False
    return True


def _equal(operator: str, pattern: str, value: str) -> bool:
    if operator == "StringEquals":
        return pattern == value
    glob = "".join({"*": ".*", "?": "."}.get(each) or re.escape(each) for each in pattern)
    return re.fullmatch(glob, value, re.DOTALL) is not None


def _session(wanted: Wanted, role: RoleState) -> Found:
    if role.max_session_seconds >= wanted.max_session_seconds:
        return Found()
    words = (
        f"MaxSessionDuration is {role.max_session_seconds} s; {wanted.max_session_seconds} s are asked for"
    )
    return Found((Difference(Part.TRUST, words, role.arn),))


def _permissions(wanted: Wanted, role: RoleState) -> Found:
    policy = wanted.inline_policy
    if policy is None:
        return Found()
    unread = [arn for arn, document in role.attached.items() if document is None]
    held: list[Mapping[str, Any]] = [*role.inline.values()]
    held += [document for document in role.attached.values() if document is not None]
    lacks = [lack for lack in permissions.lacks(policy, held) if not _narrowed(wanted, lack, held)]
    unjudged = [f"{arn} could not be read" for arn in unread] if lacks else []
    if role.boundary is not None:
        unjudged.append(f"the permissions boundary {role.boundary} has to allow pulls too")
    sure = [lack for lack in lacks if lack.denied or not unread]
    words = "{} on {} is {}"
    differences = tuple(
        Difference(
            Part.PERMISSIONS,
            words.format(lack.action, lack.resource, "denied" if lack.denied else "not allowed"),
            role.arn,
        )
        for lack in sure
    )
    return Found(differences, tuple(unjudged))


def _narrowed(wanted: Wanted, lack: permissions.Lack, held: Iterable[Mapping[str, Any]]) -> bool:
    """Whether some of the repositories are allowed, where nobody knows which are needed."""
    unknown = wanted.permissions.repositories == ("*",) and lack.action in PULL_ACTIONS
    return unknown and not lack.denied and permissions.touches(held, lack.action, lack.resource)
