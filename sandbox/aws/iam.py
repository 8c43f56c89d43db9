"""IAM's state: OIDC providers, roles and users of any number of accounts. `iam_api` is its face.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_Types.html
"""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.aws import policy

PULL_ACTIONS = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
)
_PULL_ONLY = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchImportUpstreamImage",
)
_READ_ONLY = (
    *PULL_ACTIONS,
    "ecr:GetRepositoryPolicy",
    "ecr:DescribeRepositories",
    "ecr:ListImages",
    "ecr:DescribeImages",
    "ecr:GetLifecyclePolicy",
    "ecr:GetLifecyclePolicyPreview",
    "ecr:ListTagsForResource",
    "ecr:DescribeImageScanFindings",
)
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
MANAGED_POLICIES = {
    "AmazonEC2ContainerRegistryPullOnly": _PULL_ONLY,
    "AmazonEC2ContainerRegistryReadOnly": _READ_ONLY,
}
# Names of GetAccountSummary, with the values that a new account has.
QUOTAS = {
    "AssumeRolePolicySizeQuota": 2048,  # characters, white space not counted
    "RolePolicySizeQuota": 10_240,  # of all inline policies of a role
    "AttachedPoliciesPerRoleQuota": 10,
    "RolesQuota": 1000,
    "OpenIDConnectProvidersQuota": 100,  # ours: the real summary has none, Service Quotas has
}

_ROLE_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role(?P<path>/(?:[!-~]+/)?)(?P<name>[\w+=,.@-]{1,64})"
)
_USER_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:user/(?:[!-~]+/)?[\w+=,.@-]{1,64}")


@dataclass
class Provider:
    """An OIDC provider; `url` is the issuer with its https://."""

    url: str
    audiences: list[str]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Role:
    """A role; `policies` are what it may do: its own by name, managed ones by ARN."""

    arn: str
    trust_policy: dict[str, Any]
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    max_session_seconds: int = 3600
    tags: dict[str, str] = field(default_factory=dict)
    instance_profiles: list[str] = field(default_factory=list)
    description: str = ""

    @property
    def name(self) -> str:
        """The last part of its ARN."""
        return self.arn.rpartition("/")[2]

    @property
    def attached(self) -> list[str]:
        """ARNs of its managed policies."""
        return [name for name in self.policies if name.startswith("arn:")]

    @property
    def inline(self) -> list[str]:
        """Names of its own policies."""
        return [name for name in self.policies if not name.startswith("arn:")]


@dataclass
class User:
    """A user; `policies` by name are what it may do."""

    arn: str
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class AccessKey:
    """A long-lived key pair of a user."""

    access_key_id: str
    secret_access_key: str
    user_arn: str


def account_of(role_arn: str) -> str | None:
    """The account of a role's ARN, None when it is none."""
    match = _ROLE_ARN.fullmatch(role_arn)
    return None if match is None else match["account"]


def provider_arn(role_arn: str, url: str) -> str:
    """The ARN that a provider has in the account and partition of a role."""
    partition, account = role_arn.split(":")[1], role_arn.split(":")[4]
    return f"arn:{partition}:iam::{account}:oidc-provider/{url.removeprefix('https://')}"


def allowing(actions: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """A policy that allows `actions` on everything."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


class Iam:
    """The state of every account. Not thread-safe: `SandboxAws` holds the lock."""

    def __init__(self) -> None:
        self._providers: dict[str, dict[str, Provider]] = {}  # account, issuer
        self._roles: dict[str, Role] = {}  # ARN
        self._users: dict[str, User] = {}  # ARN
        self._keys: dict[str, AccessKey] = {}  # access key id
        self._quotas: dict[str, dict[str, int]] = defaultdict(dict)  # account, name

    def provider(self, account: str, issuer: str) -> Provider | None:
        """By exactly that issuer, in that account."""
        return self._providers.get(account, {}).get(issuer)

    def role(self, arn: str) -> Role | None:
        """By its whole ARN."""
        return self._roles.get(arn)

    def providers(self, account: str) -> dict[str, Provider]:
        """Those of an account, by issuer."""
        return self._providers.get(account, {})

    def roles(self, account: str) -> list[Role]:
        """Those of an account, in the order in which they were made."""
        return [role for role in self._roles.values() if account_of(role.arn) == account]

    def has_user(self, arn: str) -> bool:
        """Whether there is one of that ARN."""
        return arn in self._users

    def quota(self, account: str, name: str) -> int:
        """A quota of `QUOTAS` as it is for an account."""
        return self._quotas[account].get(name, QUOTAS[name])

    def set_quota(self, account: str, name: str, value: int) -> None:
        """As when Service Quotas has granted a request."""
        self._quotas[account][name] = value

    def access_key(self, access_key_id: str) -> AccessKey | None:
        """A user's key pair."""
        return self._keys.get(access_key_id)

    def allows(self, principal_arn: str, action: str, resource: str) -> bool:
        """Whether the policies of a role or user allow `action` on `resource`."""
        principal = self._roles.get(principal_arn) or self._users.get(principal_arn)
        return principal is not None and policy.allows(list(principal.policies.values()), action, resource)

    def put_user(self, user: User) -> None:
        """Creates or replaces; its keys stay.

        Raises:
            ValueError: its ARN is none of a user.
        """
        if _USER_ARN.fullmatch(user.arn) is None:
            raise ValueError(f"{user.arn!r} is no ARN of an IAM user")
        self._users[user.arn] = user

    def create_access_key(self, user_arn: str) -> AccessKey:
        """A new key pair.

        Raises:
            ValueError: there is no such user.
        """
        if user_arn not in self._users:
            raise ValueError(f"there is no user {user_arn!r}")
        key = AccessKey(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30), user_arn)
        self._keys[key.access_key_id] = key
        return key

    def delete_access_key(self, access_key_id: str) -> None:
        """It is not known any more."""
        self._keys.pop(access_key_id, None)

    def put_provider(
        self, account: str, url: str, audiences: list[str], tags: Mapping[str, str] | None = None
    ) -> None:
        """Creates or replaces."""
        self._providers.setdefault(account, {})[url] = Provider(url, list(audiences), dict(tags or {}))

    def delete_provider(self, account: str, url: str) -> None:
        """It is not known any more."""
        self._providers.get(account, {}).pop(url, None)

    def delete_role(self, arn: str) -> None:
        """It is not known any more."""
        self._roles.pop(arn, None)

    def put_role(self, role: Role) -> None:
        """Creates or replaces.

        Raises:
            ValueError: its ARN is none of a role.
        """
        if account_of(role.arn) is None:
            raise ValueError(f"{role.arn!r} is no ARN of an IAM role")
        self._roles[role.arn] = role

    def snapshot(self) -> dict[str, Any]:
        """JSON-able."""
        providers = {
            account: [asdict(provider) for provider in by_url.values()]
            for account, by_url in self._providers.items()
        }
        return {
            "providers": providers,
            "roles": [asdict(role) for role in self._roles.values()],
            "users": [asdict(user) for user in self._users.values()],
            "keys": [asdict(key) for key in self._keys.values()],
            "quotas": {account: dict(quotas) for account, quotas in self._quotas.items()},
        }

    def restore(self, document: Mapping[str, Any]) -> None:
        """The inverse."""
        self._providers = {
            account: {provider["url"]: Provider(**provider) for provider in providers}
            for account, providers in document["providers"].items()
        }
        self._roles = {role["arn"]: Role(**role) for role in document["roles"]}
        self._users = {user["arn"]: User(**user) for user in document.get("users", [])}
        self._keys = {key["access_key_id"]: AccessKey(**key) for key in document.get("keys", [])}
        self._quotas = defaultdict(dict, document.get("quotas", {}))
