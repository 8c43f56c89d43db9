"""The sandbox's AWS and registry on loopback, an issuer with real keys, and a clock that the test moves."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from werkzeug.serving import WSGIRequestHandler, make_server

from aws.credentials import AwsEndpoints
from sandbox.aws.server import SandboxAws
from sandbox.aws.tokens import PublishedIssuer
from sandbox.registry.server import SandboxRegistry

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

ACCOUNT = "123456789012"
REGION = "eu-central-1"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pull"
ISSUER = "https://pullpass.acme.com/oidc/1"
AUDIENCE = "sts.amazonaws.com"
SUBJECT = "system:serviceaccount:pullpass-system:pullpass-agent"
START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """Signs tokens as an API server does; `published` is what the internet serves under its URL, or None."""

    def __init__(self, url: str = ISSUER, key: rsa.RSAPrivateKey = _KEY) -> None:
        self.url = url
        self._key = key
        self.published: PublishedIssuer | None = PublishedIssuer(
            discovery={"issuer": url, "jwks_uri": f"{url}/openid/v1/jwks"}, jwks={"keys": [self.public_key()]}
        )

    def public_key(self, **members: Any) -> dict[str, Any]:
        public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        public.pop("key_ops", None)
        return public | {"kid": "one", "use": "sig", "alg": "RS256"} | members

    def token(self, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A good token for the agent, with `claims` in place of its own; a claim that is None is left out."""
        all_claims = {
            "iss": self.url,
            "sub": SUBJECT,
            "aud": [AUDIENCE],
            "iat": int(START.timestamp()),
            "exp": int((START + timedelta(hours=1)).timestamp()),
        } | claims
        given = {name: value for name, value in all_claims.items() if value is not None}
        return jwt.encode(
            given, self._key, algorithm="RS256", headers={"kid": "one"} if headers is None else headers
        )


@dataclass
class AwsUnderTest:
    """A role that trusts the agent of one issuer, and everything it needs; tests break one thing each."""

    issuer: Issuer = field(default_factory=Issuer)
    time: datetime = START
    aws: SandboxAws = field(init=False)
    registry: SandboxRegistry = field(init=False)
    url: str = ""
    registry_url: str = ""

    def __post_init__(self) -> None:
        self.aws = SandboxAws(resolver=self._resolve, now=lambda: self.time)
        self.registry = SandboxRegistry(self.aws)
        self.aws.create_oidc_provider(ACCOUNT, self.issuer.url, [AUDIENCE])
        self.aws.create_role(ROLE, self.trust_policy())
        self.registry.add_image(f"{REGISTRY}/team/app:1.0")

    @property
    def endpoints(self) -> AwsEndpoints:
        return AwsEndpoints(
            sts=f"{self.url}/sts",
            ecr=f"{self.url}/ecr",
            ecr_public=f"{self.url}/ecr-public",
            registry=self.registry_url,
            metadata=f"{self.url}/metadata",
        )

    def trust_policy(self, *, audience: str = AUDIENCE, subject: str = SUBJECT) -> dict[str, Any]:
        name = self.issuer.url.removeprefix("https://")
        statement = {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{name}:aud": audience, f"{name}:sub": subject}},
        }
        return {"Version": "2012-10-17", "Statement": [statement]}

    def _resolve(self, url: str) -> PublishedIssuer | None:
        return self.issuer.published if url == self.issuer.url else None


@contextmanager
def served(app: WSGIApplication, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The base URL of `app` on a loopback port."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent, ssl_context=tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Silent(WSGIRequestHandler):
    def connection_dropped(  # the base class's arguments
        self,
        error: BaseException,  # noqa: ARG002 - the same
        environ: WSGIEnvironment | None = None,  # noqa: ARG002 - the same
    ) -> None:
        """The sandbox hangs up: so does the server, which would else wait for the next request."""
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: a test's output is its failures."""
