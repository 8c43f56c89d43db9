"""The sandbox's AWS, in-process: what an account's owner does in it, and what tests do to it; `wsgi_app` is its HTTP face.

Tests count calls, inject refusals and hang-ups, turn the clock and take a service or a region down; `snapshot` keeps
everything over a restart of `pullpass up`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.aws import iam, iam_authenticator
from sandbox.aws.disturbances import Disturbances
from sandbox.aws.ecr import Ecr, IssuedPassword
from sandbox.aws.ecr_policies import EcrPolicies
from sandbox.aws.eks import Eks, EksCluster
from sandbox.aws.front import Front, Services
from sandbox.aws.iam import PULL_ACTIONS, AccessKey, Iam, Role, User
from sandbox.aws.iam_api import IamApi
from sandbox.aws.metadata import Metadata
from sandbox.aws.sts import Sts
from sandbox.aws.tokens import KeyRing, Resolver

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TOKEN_LIFETIME = timedelta(hours=12)


def _now() -> datetime:
    return datetime.now(UTC)


class SandboxAws:
    """`resolver` is the internet as AWS sees it: an issuer's URL to its documents, or None. Thread-safe.

    `calls` counts by operation, refused ones too: `AssumeRoleWithWebIdentity`, `AssumeRole`, `GetAuthorizationToken`,
    `ecr-public:GetAuthorizationToken`, `DescribeCluster`, `MetadataToken`, `MetadataRole`, `MetadataCredentials`, `CreateRole`, …
    `calls_by` counts those of STS and ECR by operation and the ARN of the role or user that made them (for
    `AssumeRoleWithWebIdentity` the role that was asked for), without those of nobody that is known.
    """

    def __init__(
        self,
        *,
        resolver: Resolver,
        now: Callable[[], datetime] = _now,
        token_lifetime: timedelta = TOKEN_LIFETIME,
    ) -> None:
        self._disturbances = Disturbances()
        self.calls = self._disturbances.calls
        self.calls_by = self._disturbances.calls_by
        self._clock = now
        self._skew = timedelta()
        self._lock = threading.RLock()
        self._keys = KeyRing(resolver)
        self._iam = Iam()
        self._sts = Sts(self._iam, self._keys)
        self._ecr = Ecr(self._iam, token_lifetime)
        self._ecr_policies = EcrPolicies()
        self._eks = Eks(self._iam)
        self._metadata = Metadata(self._iam, self._sts)
        services = Services(
            self._lock,
            self._iam,
            IamApi(self._iam, resolver),
            self._sts,
            self._ecr,
            self._ecr_policies,
            self._eks,
            self._metadata,
        )
        self._front = Front(services, self._disturbances, now=self._now, skew=lambda: self._skew)

    def create_oidc_provider(self, account: str, url: str, audiences: list[str]) -> None:
        """As IAM CreateOpenIDConnectProvider in `account`; replaces one of the same URL."""
        with self._lock:
            self._iam.put_provider(account, url, audiences)

    def create_role(
        self, arn: str, trust_policy: Mapping[str, Any], *, allow: list[str] | None = None
    ) -> None:
        """As IAM CreateRole with a policy that allows the actions `allow` (default: a private pull) everywhere.

        Raises:
            ValueError: `arn` is none of a role.
        """
        policies = {"allow": iam.allowing(PULL_ACTIONS if allow is None else allow)}
        with self._lock:
            self._iam.put_role(Role(arn, json.loads(json.dumps(trust_policy)), policies))

    def create_user(self, arn: str, *, allow: list[str] | None = None) -> None:
        """As IAM CreateUser, with a policy as `create_role` gives.

        Raises:
            ValueError: `arn` is none of a user.
        """
        policies = {"allow": iam.allowing(PULL_ACTIONS if allow is None else allow)}
        with self._lock:
            self._iam.put_user(User(arn, policies))

    def create_access_key(self, user_arn: str) -> AccessKey:
        """As IAM CreateAccessKey.

        Raises:
            ValueError: there is no such user.
        """
        with self._lock:
            return self._iam.create_access_key(user_arn)

    def delete_access_key(self, access_key_id: str) -> None:
        """As IAM DeleteAccessKey."""
        with self._lock:
            self._iam.delete_access_key(access_key_id)

    def set_quota(self, account: str, name: str, value: int) -> None:
        """A quota of `sandbox.aws.iam.QUOTAS`, as when Service Quotas has granted a request."""
        with self._lock:
            self._iam.set_quota(account, name, value)

    def add_eks_cluster(self, cluster: EksCluster) -> None:
        """As EKS has it once CreateCluster is through; replaces one of the same name, access entries kept."""
        with self._lock:
            self._eks.add(cluster)

    def create_access_entry(
        self, account: str, region: str, name: str, principal_arn: str, groups: list[str]
    ) -> None:
        """As EKS CreateAccessEntry of type STANDARD; replaces the principal's.

        Raises:
            ValueError: there is no such cluster.
        """
        with self._lock:
            self._eks.put_entry(account, region, name, principal_arn, groups)

    def eks_user(
        self, token: str, account: str, region: str, name: str
    ) -> tuple[str, tuple[str, ...]] | None:
        """Whom the authenticator of an EKS cluster takes `token` for: user and groups, None for nobody."""
        with self._lock:
            return iam_authenticator.authenticate(
                token,
                name,
                now=self._now(),
                call_sts=self._front.presigned_caller,
                access=lambda caller: self._eks.user(account, region, name, caller),
            )

    def set_instance_role(self, role_arn: str | None) -> None:
        """The role of the instance that asks `/metadata`; it has to trust ec2.amazonaws.com."""
        with self._lock:
            self._metadata.role_arn = role_arn

    def password_is_valid(self, password: str) -> IssuedPassword | None:
        """What an ECR password opens, None when it was not given out here or has expired."""
        issued = self.issued_password(password)
        return issued if issued is not None and issued.expires_at > self._now() else None

    def issued_password(self, password: str) -> IssuedPassword | None:
        """The same, expired ones included."""
        with self._lock:
            return self._ecr.password(password)

    def allows(self, principal_arn: str, action: str, resource: str) -> bool:
        """Whether the policies of a role or user allow `action` on `resource`."""
        with self._lock:
            return self._iam.allows(principal_arn, action, resource)

    def lets_in(self, principal_arn: str, action: str, resource: str) -> bool:
        """Whether the owner of an ECR repository lets a principal of another account do `action` there."""
        with self._lock:
            return self._ecr_policies.allow(principal_arn, action, resource)

    def disable_region(self, region: str) -> None:
        """STS is not activated there."""
        self._disturbances.set_region(region, enabled=False)

    def enable_region(self, region: str) -> None:
        """Somebody has activated STS there again."""
        self._disturbances.set_region(region, enabled=True)

    def forget_keys(self) -> None:
        """STS's copy of every issuer's JWKS has run out."""
        with self._lock:
            self._keys.forget()

    def fail_next(
        self, operation: str, code: str, message: str, *, status: int = 400, times: int = 1
    ) -> None:
        """The next calls of `operation` are refused with these words.

        `("ThrottlingException", "Rate exceeded")` is what AWS says to who asks too often.
        """
        self._disturbances.refuse_next(operation, code, message, status=status, times=times)

    def hang_up_next(self, operation: str, *, times: int = 1) -> None:
        """The next calls of `operation` get no answer: their connection is cut."""
        self._disturbances.hang_up_next(operation, times=times)

    def set_skew(self, ahead: timedelta) -> None:
        """AWS's clock is `ahead` of everybody else's (behind, where it is negative)."""
        with self._lock:
            self._skew = ahead

    def set_down(self, service: str, *, down: bool = True) -> None:
        """`iam`, `sts`, `ecr`, `ecr-public`, `eks` or `metadata` answers nothing but 503 for as long as it is down."""
        self._disturbances.set_down(service, down=down)

    def snapshot(self) -> dict[str, Any]:
        """Everything that outlives a restart, JSON-able."""
        with self._lock:
            return {
                "iam": self._iam.snapshot(),
                "sessions": self._sts.snapshot(self._now()),
                "passwords": self._ecr.snapshot(self._now()),
                "ecrPolicies": self._ecr_policies.snapshot(),
                "eks": self._eks.snapshot(),
            }

    def restore(self, document: Mapping[str, Any]) -> None:
        """The inverse of `snapshot`."""
        with self._lock:
            self._iam.restore(document["iam"])
            self._sts.restore(document["sessions"])
            self._ecr.restore(document["passwords"])
            self._ecr_policies.restore(document.get("ecrPolicies", []))
            self._eks.restore(document.get("eks", []))

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The HTTP face of all services (`sandbox.aws.front`)."""
        return self._front.wsgi_app(environ, start_response)

    def _now(self) -> datetime:
        return self._clock() + self._skew
