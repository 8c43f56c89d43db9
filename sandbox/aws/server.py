"""The sandbox's AWS: one WSGI app with a base path for each service, and the same in-process.

Paths: `/iam`, `/service-quotas`, `/sts`, `/ecr`, `/ecr-public`, `/eks` and `/metadata` (an instance's). `/sts/REGION` is STS there
(`/sts` alone: us-east-1), which `disable_region` shuts. Tests count calls, inject refusals and hang-ups, turn the clock
and take a service down; `snapshot` keeps everything over a restart of `pullpass up`.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from sandbox.aws import (
    callers,
    ecr_policies,
    iam,
    iam_api,
    iam_authenticator,
    protocol,
    service_quotas,
    signing,
    sts,
)
from sandbox.aws.callers import Caller, Dialect
from sandbox.aws.ecr import Ecr, IssuedPassword
from sandbox.aws.ecr_policies import EcrPolicies
from sandbox.aws.eks import Eks, EksCluster
from sandbox.aws.iam import PULL_ACTIONS, AccessKey, Iam, Role, User
from sandbox.aws.iam_api import Administrator, IamApi, Principal
from sandbox.aws.metadata import Metadata
from sandbox.aws.protocol import AwsError
from sandbox.aws.sts import Sts
from sandbox.aws.tokens import KeyRing, Resolver

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TOKEN_LIFETIME = timedelta(hours=12)
DEFAULT_REGION = "us-east-1"

# Service to the prefix of its operations in X-Amz-Target.
_TARGETS = {"ecr": "AmazonEC2ContainerRegistry_V20150921.", "ecr-public": "SpencerFrontendService."}


@dataclass(frozen=True)
class _Refusal:
    code: str
    message: str
    status: int


@dataclass(frozen=True)
class _HangUp:
    """No answer: the connection is cut."""


_Fault = _Refusal | _HangUp


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
        self.calls: Counter[str] = Counter()
        self.calls_by: Counter[tuple[str, str]] = Counter()
        self._clock = now
        self._skew = timedelta()
        self._lock = threading.RLock()
        self._keys = KeyRing(resolver)
        self._iam = Iam()
        self._iam_api = IamApi(self._iam, resolver)
        self._sts = Sts(self._iam, self._keys)
        self._ecr = Ecr(self._iam, token_lifetime)
        self._ecr_policies = EcrPolicies()
        self._eks = Eks(self._iam)
        self._metadata = Metadata(self._iam, self._sts)
        self._faults: dict[str, deque[_Fault]] = {}
        self._down: set[str] = set()
        self._disabled_regions: set[str] = set()

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
                call_sts=self._presigned_caller,
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
        with self._lock:
            self._disabled_regions.add(region)

    def enable_region(self, region: str) -> None:
        """Somebody has activated STS there again."""
        with self._lock:
            self._disabled_regions.discard(region)

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
        self._add_faults(operation, _Refusal(code, message, status), times)

    def hang_up_next(self, operation: str, *, times: int = 1) -> None:
        """The next calls of `operation` get no answer: their connection is cut."""
        self._add_faults(operation, _HangUp(), times)

    def set_skew(self, ahead: timedelta) -> None:
        """AWS's clock is `ahead` of everybody else's (behind, where it is negative)."""
        with self._lock:
            self._skew = ahead

    def set_down(self, service: str, *, down: bool = True) -> None:
        """`iam`, `sts`, `ecr`, `ecr-public`, `eks` or `metadata` answers nothing but 503 for as long as it is down."""
        with self._lock:
            (self._down.add if down else self._down.discard)(service)

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
        """The HTTP face of all services."""
        request = Request(environ)
        request.get_data()  # before the form is read, which would leave nothing of what was signed
        service, _, rest = request.path.strip("/").partition("/")
        handlers: dict[str, Callable[[Request, str], Response]] = {
            "iam": self._serve_iam,
            "service-quotas": self._serve_quotas,
            "sts": self._serve_sts,
            "ecr": self._serve_ecr,
            "ecr-public": self._serve_ecr_public,
            "eks": self._serve_eks,
            "metadata": self._serve_metadata,
        }
        handler = handlers.get(service)
        if handler is None:
            response = Response("Not Found", status=404)
        elif service in self._down:
            response = Response("Service Unavailable", status=503)
        else:
            response = handler(request, rest)
        response.headers["x-amzn-RequestId"] = protocol.request_id()
        return response(environ, start_response)

    def _serve_iam(self, request: Request, _: str) -> Response:
        action = request.form.get("Action", "")
        try:
            self._count(action)
            with self._lock:
                result = self._iam_api.call(action, self._person(request, action, "iam"), request.form)
        except AwsError as error:
            return protocol.refusal(error, iam_api.NAMESPACE)
        return protocol.answer(action, iam_api.NAMESPACE, result)

    def _serve_quotas(self, request: Request, _: str) -> Response:
        operation = request.headers.get("X-Amz-Target", "").removeprefix(service_quotas.TARGET)
        status = 200
        document: Mapping[str, Any]
        try:
            self._count(operation)
            with self._lock:
                account = self._person(request, operation, "servicequotas").account
                document = service_quotas.call(operation, self._iam, account, request.get_json(force=True))
        except AwsError as error:
            status, document = error.status, {"__type": error.code, "message": error.message}
        return Response(json.dumps(document), status=status, content_type="application/x-amz-json-1.1")

    def _serve_sts(self, request: Request, region: str) -> Response:
        action = request.form.get("Action", "")
        try:
            self._count(action)
            self._check_region(region or DEFAULT_REGION)
            if action == "GetCallerIdentity":
                person = self._person(request, action, "sts")
                identity = {"Arn": person.arn, "UserId": "AIDASANDBOX", "Account": person.account}
                return protocol.answer(action, sts.NAMESPACE, identity)
            if action == "AssumeRoleWithWebIdentity":
                self._count_by(action, request.form.get("RoleArn", ""))
            result = self._sts.call(
                action,
                request.form,
                self._now(),
                caller=lambda: self._caller(request, action, "sts", callers.QUERY),
            )
        except AwsError as error:
            return protocol.refusal(error, sts.NAMESPACE)
        return protocol.answer(action, sts.NAMESPACE, result)

    def _serve_ecr(self, request: Request, _: str) -> Response:
        operation = request.headers.get("X-Amz-Target", "").removeprefix(_TARGETS["ecr"])
        if operation in ecr_policies.OPERATIONS:
            return self._serve_ecr_policy(request, operation)
        return self._serve_json(request, "ecr", "", self._ecr.call)

    def _serve_ecr_policy(self, request: Request, operation: str) -> Response:
        status = 200
        document: Mapping[str, Any]
        signed = signing.read(request)
        try:
            self._count(operation)
            with self._lock:
                person = self._owner(request, operation)
                region = DEFAULT_REGION if signed is None else signed.region
                asked = request.get_json(force=True)
                document = self._ecr_policies.call(operation, person.account, region, asked)
        except AwsError as error:
            status, document = error.status, {"__type": error.code, "message": error.message}
        return Response(json.dumps(document), status=status, content_type="application/x-amz-json-1.1")

    def _owner(self, request: Request, operation: str) -> Administrator | Principal:
        """Who may do `operation` in ECR's own account."""
        person = self._person(request, operation, "ecr")
        if isinstance(person, Principal) and not self._iam.allows(
            person.principal_arn, f"ecr:{operation}", "*"
        ):
            raise AwsError(
                "AccessDeniedException", f"User: {person.arn} is not authorized to perform: ecr:{operation}"
            )
        return person

    def _serve_ecr_public(self, request: Request, _: str) -> Response:
        return self._serve_json(request, "ecr-public", "ecr-public:", self._ecr.call_public)

    def _serve_json(
        self,
        request: Request,
        service: str,
        prefix: str,
        call: Callable[[str, Caller, datetime], Mapping[str, Any]],
    ) -> Response:
        operation = request.headers.get("X-Amz-Target", "").removeprefix(_TARGETS[service])
        status = 200
        document: Mapping[str, Any]
        try:
            self._count(f"{prefix}{operation}")
            with self._lock:
                caller = self._caller(request, f"{prefix}{operation}", service, callers.JSON)
                document = call(operation, caller, self._now())
        except AwsError as error:
            status, document = error.status, {"__type": error.code, "message": error.message}
        return Response(json.dumps(document), status=status, content_type="application/x-amz-json-1.1")

    def _serve_eks(self, request: Request, path: str) -> Response:
        """REST with JSON: the operation is method and path."""
        status, code = 200, ""
        document: Mapping[str, Any]
        operation = self._eks.operation(request.method, path)
        try:
            self._count(operation)
            with self._lock:
                caller = self._caller(request, operation, "eks", callers.JSON)
                document = self._eks.call(operation, path, request.get_json(silent=True) or {}, caller)
        except AwsError as error:
            status, code, document = error.status, error.code, {"message": error.message}
        response = Response(json.dumps(document), status=status, content_type="application/json")
        if code:
            response.headers["x-amzn-ErrorType"] = code
        return response

    def _presigned_caller(self, request: Request) -> Caller:
        """Who presigned a call to STS that came by somebody else, as STS tells them."""
        caller = callers.identify(
            signing.read_presigned(request),
            service="sts",
            dialect=callers.QUERY,
            iam=self._iam,
            session_of=self._sts.session,
            now=self._now(),
            clock=self._now(),
            life=callers.PRESIGNED_LIFE,
        )
        self.calls["GetCallerIdentity"] += 1
        return caller

    def _serve_metadata(self, request: Request, path: str) -> Response:
        try:
            self._count(self._metadata.operation(path))
            with self._lock:
                return self._metadata.serve(request, path, self._now())
        except AwsError as error:
            return Response(error.message, status=error.status)

    def _caller(self, request: Request, operation: str, service: str, dialect: Dialect) -> Caller:
        with self._lock:
            caller = callers.identify(
                signing.read(request),
                service=service,
                dialect=dialect,
                iam=self._iam,
                session_of=self._sts.session,
                now=self._now(),
                clock=_now() + self._skew,  # who signs takes the machine's time, whatever a test says it is
            )
            self._count_by(operation, caller.principal_arn)
            return caller

    def _person(self, request: Request, operation: str, service: str) -> Administrator | Principal:
        """Who calls a service of people: 12 digits for an access key id are an account's administrator, unchecked."""
        signed = signing.read(request)
        if signed is not None and re.fullmatch(r"[0-9]{12}", signed.access_key_id):
            return Administrator(signed.access_key_id)
        caller = self._caller(request, operation, service, callers.QUERY)
        return Principal(caller.arn, caller.principal_arn)

    def _now(self) -> datetime:
        return self._clock() + self._skew

    def _add_faults(self, operation: str, fault: _Fault, times: int) -> None:
        with self._lock:
            self._faults.setdefault(operation, deque()).extend([fault] * times)

    def _count_by(self, operation: str, principal_arn: str) -> None:
        with self._lock:
            self.calls_by[operation, principal_arn] += 1

    def _count(self, operation: str) -> None:
        with self._lock:
            self.calls[operation] += 1
            faults = self._faults.get(operation)
            fault = faults.popleft() if faults else None
        if isinstance(fault, _HangUp):
            raise ConnectionResetError  # both servers of the sandbox's tests close the connection then
        if fault is not None:
            raise AwsError(fault.code, fault.message, status=fault.status)

    def _check_region(self, region: str) -> None:
        if region in self._disabled_regions:
            raise AwsError(
                "RegionDisabledException",
                f"STS is not activated in this region ({region}). Your account administrator can activate STS in "
                "this region using the IAM Console.",
                status=403,
            )
