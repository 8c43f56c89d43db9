"""The sandbox's registry: `/v2/`, manifests and blobs under any ECR host name, public ones included, as ECR answers.

The registry asked for is the `Host` header (`ACCOUNT.dkr.ecr.REGION.…`), wherever the connection really goes; a
request to another host name is of nobody's registry. Subset of
https://github.com/opencontainers/distribution-spec/blob/main/spec.md; the words are ECR's where they are known.

ECR Public wants a bearer token, which `/token/` gives for a password, or for nothing: anybody may pull.
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from sandbox.aws.ecr import PUBLIC, USERNAME, IssuedPassword
from sandbox.aws.server import SandboxAws

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"

_HOST = re.compile(
    r"(?P<account>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?P<suffix>[a-z0-9.-]+?)(?::[0-9]+)?"
)
_PATH = re.compile(r"/v2/(?P<repository>[a-z0-9._/-]+)/(?P<kind>manifests|blobs)/(?P<reference>[\w.:+-]+)")
_IMAGE = re.compile(
    r"(?P<host>[^/]+)/(?P<repository>[^:@]+)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_PUBLIC_HOSTS = ("public.ecr.aws", "ecr-public.aws.com")
_ACTIONS = {"manifests": "ecr:BatchGetImage", "blobs": "ecr:GetDownloadUrlForLayer"}


class _Refusal(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True)
class _Registry:
    """One account's registry in one region; ECR Public has no account, and `PUBLIC` for a region."""

    account: str
    region: str


class SandboxRegistry:
    """Passwords are checked with `aws`; images are added by reference. Thread-safe.

    `calls` counts requests by `METHOD KIND` (`GET base`, `HEAD manifests`, `GET blobs`), refused ones too. Requests for
    a token of ECR Public are `GET token` with a password and `GET token anonymous` without one.
    """

    def __init__(self, aws: SandboxAws) -> None:
        self.calls: Counter[str] = Counter()
        self._aws = aws
        self._lock = threading.RLock()
        self._manifests: dict[tuple[_Registry, str], dict[str, bytes]] = {}
        self._blobs: dict[str, bytes] = {}
        self._allowed: set[tuple[str, str]] = set()
        self._public_tokens: set[str] = set()
        self._down = False

    def add_image(self, reference: str) -> str:
        """Puts an empty image behind `reference` (`HOST/REPOSITORY[:TAG]`) and returns its digest.

        Raises:
            ValueError: it is no reference of an ECR registry.
        """
        config = _canonical(
            {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        )
        manifest = _canonical(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": {"mediaType": CONFIG_TYPE, "digest": _digest(config), "size": len(config)},
                "layers": [],
                "annotations": {"org.opencontainers.image.ref.name": reference},
            }
        )
        self.add_manifest(reference, manifest, [config])
        return _digest(manifest)

    def add_manifest(self, reference: str, manifest: bytes, blobs: Iterable[bytes]) -> None:
        """Puts an image with content behind `reference`: its OCI manifest and every blob that this names.

        Raises:
            ValueError: it is no reference of an ECR registry.
        """
        match = _IMAGE.fullmatch(reference)
        registry = None if match is None else _registry(match["host"])
        if match is None or registry is None or match["digest"]:
            raise ValueError(f"{reference!r}: expected an ECR registry's HOST/REPOSITORY[:TAG]")
        with self._lock:
            self._blobs.update({_digest(blob): blob for blob in blobs})
            by_reference = self._manifests.setdefault((registry, match["repository"]), {})
            by_reference[match["tag"] or "latest"] = manifest
            by_reference[_digest(manifest)] = manifest

    def allow(self, account: str, registry_account: str) -> None:
        """As a registry policy of `registry_account` that lets `account` pull."""
        with self._lock:
            self._allowed.add((account, registry_account))

    def set_down(self, *, down: bool = True) -> None:
        """Answers nothing but 503 for as long as it is down."""
        with self._lock:
            self._down = down

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The HTTP face, for plain HTTP or behind TLS."""
        request = Request(environ)
        try:
            with self._lock:
                response = self._serve(request)
        except _Refusal as refusal:
            response = _refused(request, refusal)
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        return response(environ, start_response)

    def _serve(self, request: Request) -> Response:
        match = _PATH.fullmatch(request.path)
        kind = "base" if match is None else match["kind"]
        registry = _registry(request.host)
        if registry is not None and registry.region == PUBLIC and request.path == "/token/":
            return self._public_token(request)
        self.calls[f"{request.method} {kind}"] += 1
        if self._down:
            return Response("Service Unavailable", status=503)
        if registry is None or (match is None and request.path not in {"/v2/", "/v2"}):
            raise _Refusal(404, "UNSUPPORTED", f"no registry at {request.host}{request.path}")
        if request.method not in {"GET", "HEAD"}:
            raise _Refusal(405, "UNSUPPORTED", "this registry is read-only")
        issued = None if registry.region == PUBLIC else self._authenticate(request, registry)
        if issued is None:
            self._admit(request)
        if match is None:
            return Response("{}", content_type="application/json")
        repository = match["repository"]
        if issued is not None:
            self._authorize(issued, registry, repository, _ACTIONS[kind])
        if kind == "blobs":
            return self._blob(match["reference"])
        return self._manifest(registry, repository, match["reference"])

    def _public_token(self, request: Request) -> Response:
        if request.method != "GET":  # containerd tries OAuth by POST first
            raise _Refusal(405, "UNSUPPORTED", "tokens are given out by GET")
        anonymous = request.authorization is None
        self.calls["GET token anonymous" if anonymous else "GET token"] += 1
        if self._down:
            return Response("Service Unavailable", status=503)
        if not anonymous:
            self._check_public(*_pair(request))
        token = secrets.token_urlsafe(40)
        self._public_tokens.add(token)
        return Response(json.dumps({"token": token}), content_type="application/json")

    def _admit(self, request: Request) -> None:
        """ECR Public: a token of ours, or a password in the shape in which GetAuthorizationToken gives it."""
        given = request.authorization
        if given is None:
            raise _Refusal(401, "UNAUTHORIZED", "Not Authorized")
        if given.type != "bearer" or given.token is None:
            raise _Refusal(403, "DENIED", "Your Authorization Token is invalid.")
        if given.token in self._public_tokens:
            return
        try:
            username, _, password = base64.b64decode(given.token, validate=True).decode().partition(":")
        except ValueError:
            username = password = ""
        self._check_public(username, password)

    def _check_public(self, username: str, password: str) -> None:
        issued = self._aws.issued_password(password)
        if username != USERNAME or issued is None or issued.region != PUBLIC:
            raise _Refusal(403, "DENIED", "Your Authorization Token is invalid.")
        self._check_expiry(password)

    def _authenticate(self, request: Request, registry: _Registry) -> IssuedPassword:
        username, password = _pair(request)
        issued = self._aws.issued_password(password) if username == USERNAME else None
        if issued is None or issued.region != registry.region:
            raise _Refusal(401, "UNAUTHORIZED", "Not Authorized")
        self._check_expiry(password)
        return issued

    def _check_expiry(self, password: str) -> None:
        if self._aws.password_is_valid(password) is None:
            raise _Refusal(
                403, "DENIED", "Your authorization token has expired. Reauthenticate and try again."
            )

    def _authorize(self, issued: IssuedPassword, registry: _Registry, repository: str, action: str) -> None:
        partition = issued.role_arn.split(":")[1]
        resource = f"arn:{partition}:ecr:{registry.region}:{registry.account}:repository/{repository}"
        missing = None
        if not self._aws.allows(issued.role_arn, action, resource):
            missing = "identity-based"
        elif (
            issued.account != registry.account
            and (issued.account, registry.account) not in self._allowed
            and not self._aws.lets_in(issued.role_arn, action, resource)
        ):
            missing = "resource-based"
        if missing is not None:
            raise _Refusal(
                403,
                "DENIED",
                f"User: {issued.session_arn} is not authorized to perform: {action} on resource: {resource} "
                f"because no {missing} policy allows the {action} action",
            )

    def _manifest(self, registry: _Registry, repository: str, reference: str) -> Response:
        by_reference = self._manifests.get((registry, repository))
        if by_reference is None:
            raise _Refusal(
                404,
                "NAME_UNKNOWN",
                f"The repository with name '{repository}' does not exist in the registry with id "
                f"'{registry.account}'",
            )
        manifest = by_reference.get(reference)
        if manifest is None:
            raise _Refusal(404, "MANIFEST_UNKNOWN", "Requested image not found")
        headers = {"Docker-Content-Digest": _digest(manifest)}
        return Response(manifest, content_type=MANIFEST_TYPE, headers=headers)

    def _blob(self, digest: str) -> Response:
        blob = self._blobs.get(digest)
        if blob is None:
            raise _Refusal(404, "BLOB_UNKNOWN", "blob unknown to registry")
        return Response(
            blob, content_type="application/octet-stream", headers={"Docker-Content-Digest": digest}
        )


def _pair(request: Request) -> tuple[str, str]:
    given = request.authorization
    return ("", "") if given is None else (given.username or "", given.password or "")


def _registry(host: str) -> _Registry | None:
    if host.partition(":")[0] in _PUBLIC_HOSTS:
        return _Registry("", PUBLIC)
    match = _HOST.fullmatch(host)
    return None if match is None else _Registry(match["account"], match["region"])


def _refused(request: Request, refusal: _Refusal) -> Response:
    document = {"errors": [{"code": refusal.code, "message": refusal.message}]}
    response = Response(json.dumps(document), status=refusal.status, content_type="application/json")
    if refusal.status == 401:  # noqa: PLR2004 - the HTTP status
        public = _registry(request.host) == _Registry("", PUBLIC)
        response.headers["WWW-Authenticate"] = (
            f'Bearer realm="https://{request.host}/token/",service="{request.host}",scope="aws"'
            if public
            else f'Basic realm="https://{request.host}/",service="ecr.amazonaws.com"'
        )
    return response


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
