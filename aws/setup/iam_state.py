"""What an AWS account holds of what `wanted` asks for: plain data, read by `aws.iam`, compared by `plan`.

Policy documents are as IAM gives them, decoded: whoever wrote them may have used any form that the grammar of
policies allows. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aws.trust_policy import DEFAULT_QUOTA

Document = dict[str, Any]


@dataclass(frozen=True)
class ProviderState:
    """An OIDC provider that is there; `url` with https://."""

    arn: str
    url: str
    audiences: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RoleState:
    """A role that is there.

    `inline` are its own policies by name, `attached` managed ones by ARN; a document is None where it could not be
    read. `boundary` is the ARN of its permissions boundary, `instance_profiles` are names.
    """

    arn: str
    trust_policy: Document
    max_session_seconds: int = 3600
    inline: Mapping[str, Document] = field(default_factory=dict)
    attached: Mapping[str, Document | None] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    boundary: str | None = None
    instance_profiles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quotas:
    """Of the account, as it says itself (IAM GetAccountSummary); sizes are characters, white space not counted."""

    trust_policy: int = DEFAULT_QUOTA
    inline_policies: int = 10_240
    attached_policies: int = 10
    providers: int = 100  # not in the summary: Service Quotas, where it may be read, else the default
    audiences: int = 100  # of one provider; cannot be raised


@dataclass(frozen=True)
class IamState:
    """What is there. `providers` are the wanted ones that exist, by URL; `role` None where it does not.

    `provider_count` counts all of the account's. `named_by` tells, for a provider's ARN, the roles (ARNs) whose trust
    policies name it; read for a teardown only, and None where it could not be read.
    """

    account: str
    providers: Mapping[str, ProviderState] = field(default_factory=dict)
    role: RoleState | None = None
    quotas: Quotas = field(default_factory=Quotas)
    provider_count: int = 0
    named_by: Mapping[str, tuple[str, ...]] | None = None
