"""The steps that change an AWS account, as data: what `plan` and `teardown` give and `aws.iam` executes.

Each names the IAM action it needs (`action`), so that a refusal can say what right is missing, and says in one line
what it does (`summary`); `verb` and `target` are the columns of the table that a person reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from aws.setup.documents import Document


@dataclass(frozen=True)
class CreateProvider:
    """IAM fetches the issuer's certificate, so the issuer has to be public already."""

    action: ClassVar[str] = "iam:CreateOpenIDConnectProvider"
    verb: ClassVar[str] = "create"
    target: str  # its ARN
    url: str
    audiences: tuple[str, ...]
    tags: Mapping[str, str]

    @property
    def summary(self) -> str:
        return f"OIDC provider {self.url} for audience {', '.join(self.audiences)}"


@dataclass(frozen=True)
class AddAudience:
    """Audiences are added and never removed: others may use the provider too."""

    action: ClassVar[str] = "iam:AddClientIDToOpenIDConnectProvider"
    verb: ClassVar[str] = "change"
    target: str
    audience: str

    @property
    def summary(self) -> str:
        return f"allow audience {self.audience}"


@dataclass(frozen=True)
class CreateRole:
    """With its trust policy, so that there is no moment when it trusts anybody else."""

    action: ClassVar[str] = "iam:CreateRole"
    verb: ClassVar[str] = "create"
    target: str
    path: str
    name: str
    trust_policy: Document
    max_session_seconds: int
    tags: Mapping[str, str]
    clusters: tuple[str, ...]

    @property
    def summary(self) -> str:
        return f"role that trusts {', '.join(self.clusters)}"


@dataclass(frozen=True)
class UpdateTrustPolicy:
    """Replaces the document by one with the foreign statements of the one that was read (`before`)."""

    action: ClassVar[str] = "iam:UpdateAssumeRolePolicy"
    verb: ClassVar[str] = "change"
    target: str
    role_name: str
    before: Document
    document: Document
    summary: str


@dataclass(frozen=True)
class SetMaxSession:
    """Raised where longer sessions are asked for, never lowered."""

    action: ClassVar[str] = "iam:UpdateRole"
    verb: ClassVar[str] = "change"
    target: str
    role_name: str
    seconds: int

    @property
    def summary(self) -> str:
        return f"allow sessions of {self.seconds} seconds"


@dataclass(frozen=True)
class PutInlinePolicy:
    """Under a name of our own, so that no other policy of the role is touched."""

    action: ClassVar[str] = "iam:PutRolePolicy"
    target: str
    role_name: str
    policy_name: str
    document: Document
    replaces: bool = False

    @property
    def verb(self) -> str:
        return "change" if self.replaces else "add"

    @property
    def summary(self) -> str:
        actions = [action for statement in self.document["Statement"] for action in statement["Action"]]
        return f"policy {self.policy_name}: {', '.join(actions)}"


@dataclass(frozen=True)
class DeleteInlinePolicy:
    """Of our own name."""

    action: ClassVar[str] = "iam:DeleteRolePolicy"
    verb: ClassVar[str] = "remove"
    target: str
    role_name: str
    policy_name: str

    @property
    def summary(self) -> str:
        return f"policy {self.policy_name}"


@dataclass(frozen=True)
class AttachPolicy:
    """A managed one."""

    action: ClassVar[str] = "iam:AttachRolePolicy"
    verb: ClassVar[str] = "add"
    target: str
    role_name: str
    policy_arn: str

    @property
    def summary(self) -> str:
        return f"managed policy {self.policy_arn.rpartition('/')[2]}"


@dataclass(frozen=True)
class DetachPolicy:
    """One that a tag on the role says we attached."""

    action: ClassVar[str] = "iam:DetachRolePolicy"
    verb: ClassVar[str] = "remove"
    target: str
    role_name: str
    policy_arn: str

    @property
    def summary(self) -> str:
        return f"managed policy {self.policy_arn.rpartition('/')[2]}"


@dataclass(frozen=True)
class TagRole:
    """Says what of the role is ours, for a later teardown."""

    action: ClassVar[str] = "iam:TagRole"
    verb: ClassVar[str] = "change"
    target: str
    role_name: str
    tags: Mapping[str, str]

    @property
    def summary(self) -> str:
        return f"tag {', '.join(f'{name}={value}' for name, value in self.tags.items())}"


@dataclass(frozen=True)
class UntagRole:
    """The inverse."""

    action: ClassVar[str] = "iam:UntagRole"
    verb: ClassVar[str] = "change"
    target: str
    role_name: str
    names: tuple[str, ...]

    @property
    def summary(self) -> str:
        return f"remove tag {', '.join(self.names)}"


@dataclass(frozen=True)
class DeleteRole:
    """One that we made, when nothing of anybody else is left on it."""

    action: ClassVar[str] = "iam:DeleteRole"
    verb: ClassVar[str] = "remove"
    target: str
    role_name: str

    @property
    def summary(self) -> str:
        return "role"


@dataclass(frozen=True)
class DeleteProvider:
    """One that we made and that no other role's trust policy names."""

    action: ClassVar[str] = "iam:DeleteOpenIDConnectProvider"
    verb: ClassVar[str] = "remove"
    target: str

    @property
    def summary(self) -> str:
        return "OIDC provider"


Step = (
    CreateProvider
    | AddAudience
    | CreateRole
    | UpdateTrustPolicy
    | SetMaxSession
    | PutInlinePolicy
    | DeleteInlinePolicy
    | AttachPolicy
    | DetachPolicy
    | TagRole
    | UntagRole
    | DeleteRole
    | DeleteProvider
)


@dataclass(frozen=True)
class Obstacle:
    """Why the plan cannot be carried out, and what to do: `remedy` is a sentence or a command.

    `code` is an issue code where there is one for it (`TrustPolicyTooLong`, `IssuerNotUsable`), else a word of ours.
    """

    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Plan:
    """Steps in the order in which they are done; none: AWS holds what is wanted. `notes` are left to the reader.

    With `obstacles` it is not to be executed: IAM would refuse it half-way.
    """

    steps: tuple[Step, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    notes: tuple[str, ...] = ()


def to_row(step: Step) -> dict[str, Any]:
    """One row of the table, and one object of `-o json`: `{verb, target, what, permission}`."""
    return {"verb": step.verb, "target": step.target, "what": step.summary, "permission": step.action}
