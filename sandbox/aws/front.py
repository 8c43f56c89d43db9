"""The HTTP face of the sandbox's AWS: one WSGI app with a base path for each service.

Paths: `/iam`, `/service-quotas`, `/sts`, `/ecr`, `/ecr-public`, `/eks` and `/metadata` (an instance's). `/sts/REGION` is STS there
(`/sts` alone: us-east-1). Each handler reads the request in its service's dialect, finds out who asks, and answers in that
dialect. Made by `sandbox.aws.server`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from sandbox.aws import callers, ecr_policies, iam_api, protocol, service_quotas, signing, sts
from sandbox.aws.callers import Caller, Dialect
from sandbox.aws.disturbances import Disturbances
from sandbox.aws.ecr import Ecr
from sandbox.aws.ecr_policies import EcrPolicies
from sandbox.aws.eks import Eks
from sandbox.aws.iam import Iam
from sandbox.aws.iam_api import Administrator, IamApi, Principal
from sandbox.aws.metadata import Metadata
from sandbox.aws.protocol import AwsError
from sandbox.aws.sts import Sts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

DEFAULT_REGION = "us-east-1"

# Service to the prefix of its operations in X-Amz-Target.
_TARGETS = {"ecr": "AmazonEC2ContainerRegistry_V20150921.", "ecr-public": "SpencerFrontendService."}


@dataclass(frozen=True)
class Services:
    """What answers behind the face; `lock` is held while one of them is asked."""

    lock: threading.RLock
    iam: Iam
    iam_api: IamApi
    sts: Sts
    ecr: Ecr
    ecr_policies: EcrPolicies
    eks: Eks
    metadata: Metadata


class Front:
    """`now` is AWS's own time, `skew` how far it is ahead of everybody else's."""

    def __init__(
        self,
        services: Services,
        disturbances: Disturbances,
        *,
        now: Callable[[], datetime],
        skew: Callable[[], timedelta],
    ) -> None:
        self._lock = services.lock
        self._iam = services.iam
        self._iam_api = services.iam_api
        self._sts = services.sts
        self._ecr = services.ecr
        self._ecr_policies = services.ecr_policies
        self._eks = services.eks
        self._metadata = services.metadata
        self._disturbances = disturbances
        self._now = now
        self._skew = skew

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
        elif self._disturbances.is_down(service):
            response = Response("Service Unavailable", status=503)
        else:
            response = handler(request, rest)
        response.headers["x-amzn-RequestId"] = protocol.request_id()
        return response(environ, start_response)

    def _serve_iam(self, request: Request, _: str) -> Response:
        action = request.form.get("Action", "")
        try:
            self._disturbances.count(action)
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
            self._disturbances.count(operation)
            with self._lock:
                account = self._person(request, operation, "servicequotas").account
                document = service_quotas.call(operation, self._iam, account, request.get_json(force=True))
        except AwsError as error:
            status, document = error.status, {"__type": error.code, "message": error.message}
        return Response(json.dumps(document), status=status, content_type="application/x-amz-json-1.1")

    def _serve_sts(self, request: Request, region: str) -> Response:
        action = request.form.get("Action", "")
        try:
            self._disturbances.count(action)
            self._disturbances.check_region(region or DEFAULT_REGION)
            if action == "GetCallerIdentity":
                person = self._person(request, action, "sts")
                identity = {"Arn": person.arn, "UserId": "AIDASANDBOX", "Account": person.account}
                return protocol.answer(action, sts.NAMESPACE, identity)
            if action == "AssumeRoleWithWebIdentity":
                self._disturbances.count_by(action, request.form.get("RoleArn", ""))
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
            self._disturbances.count(operation)
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
            self._disturbances.count(f"{prefix}{operation}")
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
            self._disturbances.count(operation)
            with self._lock:
                caller = self._caller(request, operation, "eks", callers.JSON)
                document = self._eks.call(operation, path, request.get_json(silent=True) or {}, caller)
        except AwsError as error:
            status, code, document = error.status, error.code, {"message": error.message}
        response = Response(json.dumps(document), status=status, content_type="application/json")
        if code:
            response.headers["x-amzn-ErrorType"] = code
        return response

    def presigned_caller(self, request: Request) -> Caller:
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
        self._disturbances.calls["GetCallerIdentity"] += 1
        return caller

    def _serve_metadata(self, request: Request, path: str) -> Response:
        try:
            self._disturbances.count(self._metadata.operation(path))
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
                clock=datetime.now(UTC)
                + self._skew(),  # who signs takes the machine's time, whatever a test says it is
            )
            self._disturbances.count_by(operation, caller.principal_arn)
            return caller

    def _person(self, request: Request, operation: str, service: str) -> Administrator | Principal:
        """Who calls a service of people: 12 digits for an access key id are an account's administrator, unchecked."""
        signed = signing.read(request)
        if signed is not None and re.fullmatch(r"[0-9]{12}", signed.access_key_id):
            return Administrator(signed.access_key_id)
        caller = self._caller(request, operation, service, callers.QUERY)
        return Principal(caller.arn, caller.principal_arn)
