"""IAM: OIDC providers, roles and users of any number of accounts, and the Query API's actions for the first two.

`aws iam …` and boto3 work against it with `AWS_ENDPOINT_URL_IAM`; the access key id names the account.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote

from sandbox.aws import policy
from sandbox.aws.protocol import AwsError, Xml, members
from sandbox.aws.tokens import Resolver

NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
PULL_ACTIONS = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
)
MANAGED_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEC2ContainerRegistryReadOnly")
TRUST_POLICY_QUOTA = 2048  # characters, white space not counted
MOST_PROVIDERS = 100
MOST_AUDIENCES = 100

_ROLE_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role(?P<path>/(?:[!-~]+/)?)(?P<name>[\w+=,.@-]{1,64})"
)
_USER_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:user/(?:[!-~]+/)?[\w+=,.@-]{1,64}")


@dataclass
class Provider:
    """An OIDC provider; `url` is the issuer with its https://."""

    url: str
    audiences: list[str]


@dataclass
class Role:
    """A role; `policies` by name are what it may do."""

    arn: str
    trust_policy: dict[str, Any]
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    max_session_seconds: int = 3600


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

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._providers: dict[str, dict[str, Provider]] = {}  # account, issuer
        self._roles: dict[str, Role] = {}  # ARN
        self._users: dict[str, User] = {}  # ARN
        self._keys: dict[str, AccessKey] = {}  # access key id
        self._actions: dict[str, Callable[[str, Mapping[str, str]], Mapping[str, Xml]]] = {
            "CreateOpenIDConnectProvider": self._create_provider,
            "AddClientIDToOpenIDConnectProvider": self._add_client_id,
            "GetOpenIDConnectProvider": self._get_provider,
            "CreateRole": self._create_role,
            "GetRole": self._get_role,
            "UpdateAssumeRolePolicy": self._update_trust_policy,
            "AttachRolePolicy": self._attach_policy,
            "PutRolePolicy": self._put_policy,
        }

    def provider(self, account: str, issuer: str) -> Provider | None:
        """By exactly that issuer, in that account."""
        return self._providers.get(account, {}).get(issuer)

    def role(self, arn: str) -> Role | None:
        """By its whole ARN."""
        return self._roles.get(arn)

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

    def put_provider(self, account: str, url: str, audiences: list[str]) -> None:
        """Creates or replaces."""
        self._providers.setdefault(account, {})[url] = Provider(url, list(audiences))

    def put_role(self, role: Role) -> None:
        """Creates or replaces.

        Raises:
            ValueError: its ARN is none of a role.
        """
        if account_of(role.arn) is None:
            raise ValueError(f"{role.arn!r} is no ARN of an IAM role")
        self._roles[role.arn] = role

    def call(self, action: str, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        """One action of the Query API; raises `AwsError`."""
        handler = self._actions.get(action)
        if handler is None:
            raise AwsError("InvalidAction", f"The action {action} is not served by this sandbox")
        return handler(account, form)

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

    def _create_provider(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        url = form.get("Url", "")
        if re.fullmatch(r"https://[^\s?#]{1,247}", url) is None:
            raise AwsError("InvalidInput", f"Invalid Open ID Connect Provider Url: {url}")
        existing = self._providers.get(account, {})
        if url in existing:
            raise AwsError("EntityAlreadyExists", f"Provider with url {url} already exists.", status=409)
        if len(existing) >= MOST_PROVIDERS:
            quota = f"Cannot exceed quota for OpenIdConnectProvidersPerAccount: {MOST_PROVIDERS}"
            raise AwsError("LimitExceeded", quota, status=409)
        # Without a thumbprint IAM fetches the issuer's certificate, so the issuer has to be there already.
        if not members(form, "ThumbprintList") and self._resolver(url) is None:
            raise AwsError("OpenIdIdpCommunicationError", f"Unable to connect to the identity provider {url}")
        audiences = members(form, "ClientIDList")
        _check_audiences(audiences)
        self.put_provider(account, url, audiences)
        return {"OpenIDConnectProviderArn": _arn_in(account, url)}

    def _add_client_id(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        provider = self._provider_by_arn(account, form)
        audience = form.get("ClientID", "")
        if audience not in provider.audiences:
            _check_audiences([*provider.audiences, audience])
            provider.audiences.append(audience)
        return {}

    def _get_provider(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        provider = self._provider_by_arn(account, form)
        return {"Url": provider.url.removeprefix("https://"), "ClientIDList": provider.audiences}

    def _create_role(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        arn = f"arn:aws:iam::{account}:role{form.get('Path', '/')}{form.get('RoleName', '')}"
        if account_of(arn) is None:
            raise AwsError("ValidationError", f"The specified role name or path is invalid: {arn}")
        if arn in self._roles:
            name = form["RoleName"]
            raise AwsError("EntityAlreadyExists", f"Role with name {name} already exists.", status=409)
        seconds = int(form.get("MaxSessionDuration", "3600"))
        role = Role(arn, _trust_policy(form, "AssumeRolePolicyDocument"), max_session_seconds=seconds)
        self.put_role(role)
        return {"Role": _described(role)}

    def _get_role(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        return {"Role": _described(self._role_by_name(account, form))}

    def _update_trust_policy(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        self._role_by_name(account, form).trust_policy = _trust_policy(form, "PolicyDocument")
        return {}

    def _attach_policy(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        arn = form.get("PolicyArn", "")
        if arn.rpartition("/")[2] not in MANAGED_POLICIES:
            raise AwsError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", status=404)
        self._role_by_name(account, form).policies[arn] = allowing(PULL_ACTIONS)
        return {}

    def _put_policy(self, account: str, form: Mapping[str, str]) -> Mapping[str, Xml]:
        role = self._role_by_name(account, form)
        role.policies[form.get("PolicyName", "")] = _document(form, "PolicyDocument")
        return {}

    def _provider_by_arn(self, account: str, form: Mapping[str, str]) -> Provider:
        arn = form.get("OpenIDConnectProviderArn", "")
        provider = self.provider(account, f"https://{arn.partition(':oidc-provider/')[2]}")
        if provider is None or arn.split(":")[4] != account:
            raise AwsError("NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}", status=404)
        return provider

    def _role_by_name(self, account: str, form: Mapping[str, str]) -> Role:
        name = form.get("RoleName", "")
        for role in self._roles.values():
            if account_of(role.arn) == account and role.arn.rpartition("/")[2] == name:
                return role
        raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", status=404)


def _described(role: Role) -> Mapping[str, Xml]:
    name = role.arn.rpartition("/")[2]
    return {
        "Path": role.arn.partition(":role")[2].removesuffix(name),
        "RoleName": name,
        "RoleId": "AROASANDBOX",
        "Arn": role.arn,
        "CreateDate": "2026-01-01T00:00:00Z",
        "AssumeRolePolicyDocument": quote(json.dumps(role.trust_policy)),
        "MaxSessionDuration": str(role.max_session_seconds),
    }


def _trust_policy(form: Mapping[str, str], name: str) -> dict[str, Any]:
    document = _document(form, name)
    if len(json.dumps(document, separators=(",", ":"))) > TRUST_POLICY_QUOTA:
        quota = f"Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_QUOTA}"
        raise AwsError("LimitExceeded", quota, status=409)
    if not all("Principal" in statement for statement in policy.statements(document)):
        raise AwsError("MalformedPolicyDocument", "Missing required field Principal")
    return document


def _document(form: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        document = json.loads(form.get(name, ""))
    except ValueError as error:
        raise AwsError("MalformedPolicyDocument", "This policy contains invalid Json") from error
    if not isinstance(document, dict) or not list(policy.statements(document)):
        raise AwsError("MalformedPolicyDocument", "Syntax errors in policy.")
    return document


def _check_audiences(audiences: list[str]) -> None:
    if len(audiences) > MOST_AUDIENCES:
        quota = f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_AUDIENCES}"
        raise AwsError("LimitExceeded", quota, status=409)


def _arn_in(account: str, url: str) -> str:
    return f"arn:aws:iam::{account}:oidc-provider/{url.removeprefix('https://')}"
