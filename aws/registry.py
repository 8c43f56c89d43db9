"""The registry's own answer: `/v2/` with the credential, or the manifest of one image (OCI distribution spec).

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import urllib3

from aws import errors, registry_hosts, transport
from aws.credentials import AwsEndpoints, RegistryCredential
from aws.hops import HopName
from aws.images import parse_image

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
_OK = 200
_REDIRECTS = range(300, 400)
_LONGEST_ANSWER = 16_384  # bytes of a refusal that are read


def check(*, host: str, credential: RegistryCredential, image: str | None, endpoints: AwsEndpoints) -> None:
    """HEAD of the manifest of `image` (a full reference on `host`), or GET `/v2/` when None.

    A redirect is not followed: the credential is for this host only. A refusal is asked for once more with GET,
    because only the body of that says why.

    Raises:
        ValueError: `host` is no private ECR registry, or `image` is not one of it.
        aws.hops.AwsFailure: hop registry.
    """
    if registry_hosts.parse(host) is None:
        raise ValueError(f"registry {host!r}: expected a private ECR registry")
    path = "/v2/" if image is None else _manifest_path(host, image)
    url = f"{(endpoints.registry or f'https://{host}').rstrip('/')}{path}"
    pair = f"{credential.username}:{credential.password}".encode()
    headers = {
        "Host": host,
        "Authorization": f"Basic {base64.b64encode(pair).decode()}",
        "Accept": _MANIFESTS if image is not None else "application/json",
        "User-Agent": "pullpass",
    }
    secrets = (credential.password, headers["Authorization"].removeprefix("Basic "))
    methods = ("GET",) if image is None else ("HEAD", "GET")
    try:
        status, words = _ask(url, headers, endpoints, methods=methods)
    except urllib3.exceptions.HTTPError as error:
        raise errors.unreachable(HopName.REGISTRY, f"{host}: {error}", secrets=secrets) from error
    except ValueError as error:  # a proxy or CA bundle that cannot be used
        words = f"{host}: {error}"
        raise errors.unreachable(HopName.REGISTRY, words, secrets=secrets, transient=False) from error
    if status == _OK:
        return
    # Only a manifest can be missing; a registry without /v2/ is none.
    code = "" if image is None and status == 404 else str(status)  # noqa: PLR2004 - the HTTP status
    raise errors.refused(HopName.REGISTRY, code or "no /v2/", f"{host}: {words}", secrets=secrets)


def _manifest_path(host: str, image: str) -> str:
    parsed = parse_image(image)
    if parsed.registry.host != host:
        raise ValueError(f"image {image!r} is not in registry {host!r}")
    return f"/v2/{parsed.repository}/manifests/{parsed.reference}"


def _ask(
    url: str, headers: Mapping[str, str], endpoints: AwsEndpoints, *, methods: tuple[str, ...]
) -> tuple[int, str]:
    """The status, and the words of a refusal, of the first method that is answered with 200, or of the last."""
    status, words = 0, ""
    with _pool(url, endpoints) as pool:
        for method in methods:
            response = pool.request(
                method,
                url,
                headers=headers,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=transport.CONNECT_SECONDS, read=transport.READ_SECONDS),
                preload_content=False,
            )
            try:
                status = response.status
                words = _words(response)
            finally:
                response.close()
            if status == _OK:
                break
    return status, words


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
