"""IAM's Query API: what `aws iam …` and boto3 call, with `AWS_ENDPOINT_URL_IAM`.

An access key id of 12 digits is an administrator of that account; a user's key or a session may do what its policies
allow. https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.aws.iam import QUOTAS, Iam
from sandbox.aws.iam_providers import ProviderActions
from sandbox.aws.iam_roles import RoleActions
from sandbox.aws.protocol import AwsError, Entries, Xml
from sandbox.aws.tokens import Resolver

NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"


@dataclass(frozen=True)
class Administrator:
    """Who may do everything in an account, and has no user of its own here."""

    account: str

    @property
    def arn(self) -> str:
        """As GetCallerIdentity says it."""
        return f"arn:aws:iam::{self.account}:user/administrator"


@dataclass(frozen=True)
class Principal:
    """A user or a session of a role: `arn` stands in refusals, the policies are those of `principal_arn`."""

    arn: str
    principal_arn: str

    @property
    def account(self) -> str:
        """12 digits."""
        return self.principal_arn.split(":")[4]


class IamApi:
    """The actions over one state. Not thread-safe: `SandboxAws` holds the lock."""

    def __init__(self, iam: Iam, resolver: Resolver) -> None:
        self._iam = iam
        self._actions: Mapping[str, Callable[[str, Mapping[str, str]], Mapping[str, Xml]]] = {
            **ProviderActions(iam, resolver).by_name(),
            **RoleActions(iam).by_name(),
            "GetAccountSummary": self._account_summary,
        }

    def call(
        self, action: str, caller: Administrator | Principal, form: Mapping[str, str]
    ) -> Mapping[str, Xml]:
        """The result of one action; raises `AwsError`."""
        handler = self._actions.get(action)
        if handler is None:
            raise AwsError("InvalidAction", f"The action {action} is not served by this sandbox")
        if isinstance(caller, Principal):
            self._require(action, caller, _resource(caller.account, form))
        return handler(caller.account, form)

    def _require(self, action: str, caller: Principal, resource: str) -> None:
        if not self._iam.allows(caller.principal_arn, f"iam:{action}", resource):
            raise AwsError(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: iam:{action} on resource: {resource} because no "
                f"identity-based policy allows the iam:{action} action",
                status=403,
            )

    def _account_summary(self, account: str, _: Mapping[str, str]) -> Mapping[str, Xml]:
        quotas = {
            name: str(self._iam.quota(account, name))
            for name in QUOTAS
            if name != "OpenIDConnectProvidersQuota"
        }
        counted = {
            "Roles": str(len(self._iam.roles(account))),
            "Providers": str(len(self._iam.providers(account))),
        }
        return {"SummaryMap": Entries(quotas | counted)}


def _resource(account: str, form: Mapping[str, str]) -> str:
    if "OpenIDConnectProviderArn" in form:
        return form["OpenIDConnectProviderArn"]
    if "Url" in form:
        return f"arn:aws:iam::{account}:oidc-provider/{form['Url'].removeprefix('https://')}"
    if "RoleName" in form:
        return f"arn:aws:iam::{account}:role{form.get('Path', '/')}{form['RoleName']}"
    return "*"
