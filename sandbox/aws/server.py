"""The sandbox's AWS: one WSGI app with `/iam`, `/sts` and `/ecr` as base paths, and the same in-process.

`/sts/REGION` is STS in that region (`/sts` alone: us-east-1), which `disable_region` shuts. Tests count calls,
inject refusals and take a service down; `snapshot` keeps everything over a restart of `pullpass up`.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from sandbox.aws import iam, protocol, sts
from sandbox.aws.ecr import Ecr, IssuedPassword
from sandbox.aws.iam import PULL_ACTIONS, Iam, Role
from sandbox.aws.protocol import AwsError, Signature
from sandbox.aws.sts import Sts
from sandbox.aws.tokens import KeyRing, Resolver

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TOKEN_LIFETIME = timedelta(hours=12)
DEFAULT_REGION = "us-east-1"

_ECR_TARGET = "AmazonEC2ContainerRegistry_V20150921."


@dataclass(frozen=True)
class _Fault:
    code: str
    message: str
    status: int


def _now() -> datetime:
    return datetime.now(UTC)


class SandboxAws:
    """`resolver` is the internet as AWS sees it: an issuer's URL to its documents, or None. Thread-safe.

    `calls` counts by operation (`AssumeRoleWithWebIdentity`, `GetAuthorizationToken`, `CreateRole`, …), refused
    ones too.
    """

    def __init__(
        self,
        *,
        resolver: Resolver,
        now: Callable[[], datetime] = _now,
        token_lifetime: timedelta = TOKEN_LIFETIME,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self._now = now
        self._lock = threading.RLock()
        self._keys = KeyRing(resolver)
        self._iam = Iam(resolver)
        self._sts = Sts(self._iam, self._keys)
        self._ecr = Ecr(self._iam, self._sts, token_lifetime)
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

    def password_is_valid(self, password: str) -> IssuedPassword | None:
        """What an ECR password opens, None when it was not given out here or has expired."""
        issued = self.issued_password(password)
        return issued if issued is not None and issued.expires_at > self._now() else None

    def issued_password(self, password: str) -> IssuedPassword | None:
        """The same, expired ones included."""
        with self._lock:
            return self._ecr.password(password)

    def role_allows(self, role_arn: str, action: str, resource: str) -> bool:
        """Whether the policies of a role allow `action` on `resource`."""
        with self._lock:
            role = self._iam.role(role_arn)
            return role is not None and role.allows(action, resource)

    def disable_region(self, region: str) -> None:
        """STS is not activated there."""
        with self._lock:
            self._disabled_regions.add(region)

    def forget_keys(self) -> None:
        """STS's copy of every issuer's JWKS has run out."""
        with self._lock:
            self._keys.forget()

    def fail_next(
        self, operation: str, code: str, message: str, *, status: int = 400, times: int = 1
    ) -> None:
        """The next calls of `operation` are refused with these words."""
        with self._lock:
            self._faults.setdefault(operation, deque()).extend([_Fault(code, message, status)] * times)

    def set_down(self, service: str, *, down: bool = True) -> None:
        """`iam`, `sts` or `ecr` answers nothing but 503 for as long as it is down."""
        with self._lock:
            (self._down.add if down else self._down.discard)(service)

    def snapshot(self) -> dict[str, Any]:
        """Everything that outlives a restart, JSON-able."""
        with self._lock:
            return {
                "iam": self._iam.snapshot(),
                "sessions": self._sts.snapshot(self._now()),
                "passwords": self._ecr.snapshot(self._now()),
            }

    def restore(self, document: Mapping[str, Any]) -> None:
        """The inverse of `snapshot`."""
        with self._lock:
            self._iam.restore(document["iam"])
            self._sts.restore(document["sessions"])
            self._ecr.restore(document["passwords"])

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The HTTP face of all three services."""
        request = Request(environ)
        service, _, rest = request.path.strip("/").partition("/")
        handlers: dict[str, Callable[[Request, str], Response]] = {
            "iam": self._serve_iam,
            "sts": self._serve_sts,
            "ecr": self._serve_ecr,
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
                result = self._iam.call(action, _signed(request).access_key_id, request.form)
        except AwsError as error:
            return protocol.refusal(error, iam.NAMESPACE)
        return protocol.answer(action, iam.NAMESPACE, result)

    def _serve_sts(self, request: Request, region: str) -> Response:
        action = request.form.get("Action", "")
        try:
            self._count(action)
            self._check_region(region or DEFAULT_REGION)
            result = self._sts.call(action, request.form, self._now())
        except AwsError as error:
            return protocol.refusal(error, sts.NAMESPACE)
        return protocol.answer(action, sts.NAMESPACE, result)

    def _serve_ecr(self, request: Request, _: str) -> Response:
        operation = request.headers.get("X-Amz-Target", "").removeprefix(_ECR_TARGET)
        status = 200
        document: Mapping[str, Any]
        try:
            self._count(operation)
            with self._lock:
                document = self._ecr.call(operation, protocol.signature(request), self._now())
        except AwsError as error:
            status, document = error.status, {"__type": error.code, "message": error.message}
        return Response(json.dumps(document), status=status, content_type="application/x-amz-json-1.1")

    def _count(self, operation: str) -> None:
        with self._lock:
            self.calls[operation] += 1
            faults = self._faults.get(operation)
            fault = faults.popleft() if faults else None
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


def _signed(request: Request) -> Signature:
    found = protocol.signature(request)
    if found is None:
        raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", status=403)
    return found
