"""The registry's own answer: `/v2/` with the credential, or the manifest of one image (OCI distribution spec).

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlencode, urlsplit

import urllib3

from aws import errors, registry_hosts, transport
from aws.credentials import AwsEndpoints, RegistryCredential
from aws.hops import HopName
from aws.images import EcrImage, parse_image

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
_OK, _UNAUTHORIZED, _NOT_FOUND = 200, 401, 404
_CHALLENGE = re.compile(r'(realm|service|scope)="([^"]*)"')
_REDIRECTS = range(300, 400)
_LONGEST_ANSWER = 16_384  # bytes of a refusal that are read


@dataclass(frozen=True)
class _Answer:
    """`words` are those of a refusal, "" where the status is 200; `body` is read only where it is asked for."""

    status: int
    words: str
    challenge: str
    body: bytes


def check(*, host: str, credential: RegistryCredential, image: str | None, endpoints: AwsEndpoints) -> None:
    """HEAD of the manifest of `image` (a full reference on `host`), or GET `/v2/` when None.

    A redirect is not followed: the credential is for this host only. A refusal is asked for once more with GET,
    because only the body of that says why. ECR Public exchanges the credential for a token first, as the container
    runtime does; that it takes it is the proof there, because anybody may pull.

    Raises:
        ValueError: `host` is no ECR registry, or `image` is not one of it.
        aws.hops.AwsFailure: hop registry.
    """
    registry = registry_hosts.parse(host)
    if registry is None:
        raise ValueError(f"registry {host!r}: expected an ECR registry")
    parsed = None if image is None else _image_of(host, image)
    path = "/v2/" if parsed is None else f"/v2/{parsed.repository}/manifests/{parsed.reference}"
    basic = base64.b64encode(f"{credential.username}:{credential.password}".encode()).decode()
    secrets = [credential.password, basic]
    base = (endpoints.registry or f"https://{host}").rstrip("/")
    accepted = "application/json" if parsed is None else _MANIFESTS
    try:
        with _pool(base, endpoints) as pool:
            door = _Door(pool, base, host)
            authorization = f"Basic {basic}"
            if registry.is_public:
                token = door.token(authorization, "" if parsed is None else parsed.repository)
                secrets.append(token)
                authorization = f"Bearer {token}"
            answer = door.ask("GET" if parsed is None else "HEAD", path, accepted, authorization)
            if answer.status != _OK and parsed is not None:
                answer = door.ask("GET", path, accepted, authorization)
    except _Refused as refusal:
        raise errors.refused(HopName.REGISTRY, refusal.code, refusal.words, secrets=secrets) from refusal
    except urllib3.exceptions.HTTPError as error:
        raise errors.unreachable(HopName.REGISTRY, f"{host}: {error}", secrets=secrets) from error
    except ValueError as error:  # a proxy or CA bundle that cannot be used
        words = f"{host}: {error}"
        raise errors.unreachable(HopName.REGISTRY, words, secrets=secrets, transient=False) from error
    if answer.status == _OK:
        return
    # Only a manifest can be missing; a registry without /v2/ is none.
    code = "no /v2/" if parsed is None and answer.status == _NOT_FOUND else str(answer.status)
    raise errors.refused(HopName.REGISTRY, code, f"{host}: {answer.words}", secrets=secrets)


class _Refused(Exception):
    """ECR Public gives no token for the credential."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(code)
        self.code = code
        self.words = words


class _Door:
    """One registry behind `base`, which need not be its `host`: that is how it is asked for."""

    def __init__(self, pool: urllib3.PoolManager, base: str, host: str) -> None:
        self._pool = pool
        self._base = base
        self._host = host

    def ask(
        self, method: str, path: str, accepted: str, authorization: str | None, *, read: bool = False
    ) -> _Answer:
        """One request; raises urllib3's `HTTPError`."""
        headers = {"Host": self._host, "Accept": accepted, "User-Agent": "pullpass"}
        if authorization is not None:
            headers["Authorization"] = authorization
        response = self._pool.request(
            method,
            f"{self._base}{path}",
            headers=headers,
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(connect=transport.CONNECT_SECONDS, read=transport.READ_SECONDS),
            preload_content=False,
        )
        try:
            return _Answer(
                status=response.status,
                words=_words(response),
                challenge=response.headers.get("WWW-Authenticate", ""),
                body=response.read(_LONGEST_ANSWER) if read and response.status == _OK else b"",
            )
        finally:
            response.close()

    def token(self, authorization: str, repository: str) -> str:
        """What the registry gives for the credential, where it says that it has to be exchanged.

        https://distribution.github.io/distribution/spec/auth/token/
        """
        challenge = self.ask("GET", "/v2/", "application/json", None)
        wanted = dict(_CHALLENGE.findall(challenge.challenge))
        realm = urlsplit(wanted.get("realm", ""))
        if not challenge.challenge.startswith("Bearer ") or realm.hostname != self._host:
            words = f"{self._host}: {challenge.words or 'says not where it gives out tokens'}"
            raise _Refused(str(challenge.status) if challenge.status != _UNAUTHORIZED else "no realm", words)
        scope = f"repository:{repository}:pull" if repository else wanted.get("scope", "")
        query = urlencode({"service": wanted.get("service", self._host), "scope": scope})
        answer = self.ask("GET", f"{realm.path}?{query}", "application/json", authorization, read=True)
        if answer.status != _OK:
            raise _Refused(str(answer.status), f"{self._host}: {answer.words}")
        try:
            return str(json.loads(answer.body)["token"])
        except (ValueError, TypeError, KeyError):
            raise _Refused("no token", f"{self._host}: what it answered holds no token") from None


def _image_of(host: str, image: str) -> EcrImage:
    parsed = parse_image(image)
    if parsed.registry.host != host:
        raise ValueError(f"image {image!r} is not in registry {host!r}")
    return parsed


def _pool(url: str, endpoints: AwsEndpoints) -> urllib3.PoolManager:
    context = transport.tls_context(endpoints)
    proxy = transport.proxy_for(url, endpoints)
    if proxy is None:
        return urllib3.PoolManager(ssl_context=context)
    return urllib3.ProxyManager(proxy, ssl_context=context, proxy_headers=_proxy_headers(proxy))


def _proxy_headers(proxy: str) -> Mapping[str, str]:
    """urllib3 does not read the user out of a proxy's URL by itself."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    return urllib3.make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")


def _words(response: urllib3.BaseHTTPResponse) -> str:
    """The messages of the specification's error document, or the HTTP reason."""
    if response.status in _REDIRECTS:
        return f"answered with a redirect to {response.headers.get('Location', 'nowhere')}, which is not followed"
    if response.status == _OK:
        return ""
    body = response.read(_LONGEST_ANSWER)
    try:
        said = json.loads(body)["errors"]
        return (
            "; ".join(f"{error['code']}: {error.get('message', '')}" for error in said)
            or response.reason
            or ""
        )
    except (ValueError, TypeError, KeyError):
        return response.reason or ""
