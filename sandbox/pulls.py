"""How a kubelet pulls an image with pull secrets: which of them fit, and what the registry says to each.

The rules for `.dockerconfigjson` are those of k8s.io/kubernetes `pkg/credentialprovider` (globs per label of the
host), the words of a failure those of containerd. Nothing is downloaded: the manifest's answer decides.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

_IMAGE = re.compile(
    r"(?P<host>[^/]+)/(?P<repository>[^@]+?)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]+))?"
)
_ECR = re.compile(r"[^/]+\.dkr[.-]ecr[^/]*/")
_ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Pull:
    """What came of a pull; `message` is for `status.containerStatuses[].state.waiting`."""

    succeeded: bool
    message: str = ""


def is_private_ecr(image: str) -> bool:
    """Whether an image lies in a private ECR registry."""
    return _ECR.match(image) is not None


def matching_logins(image: str, docker_configs: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(username, password) of each entry that fits an image, the most exact first."""
    found: list[tuple[str, tuple[str, str]]] = []
    for config in docker_configs:
        for pattern, entry in (config.get("auths") or {}).items():
            login = _login(entry)
            if login is not None and _fits(pattern, image):
                found.append((pattern, login))
    found.sort(key=lambda one: one[0], reverse=True)
    return [login for _, login in found]


def _login(entry: Mapping[str, str]) -> tuple[str, str] | None:
    if entry.get("username") and entry.get("password"):
        return entry["username"], entry["password"]
    try:
        username, colon, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (username, password) if colon else None


def _fits(pattern: str, image: str) -> bool:
    """A glob per label of the host; the rest of the pattern is a prefix of the path."""
    pattern = pattern.removeprefix("https://").removeprefix("http://")
    host, _, path = pattern.partition("/")
    image_host, _, image_path = image.partition("/")
    wanted, labels = host.split("."), image_host.split(".")
    if len(wanted) != len(labels):
        return False
    globs = all(fnmatchcase(label, glob) for glob, label in zip(wanted, labels, strict=True))
    return globs and (path in ("v1/", "v2/") or image_path.startswith(path))


def pull(image: str, docker_configs: Sequence[Mapping[str, Any]], registry_url: str) -> Pull:
    """Tries every login that fits, or none at all, against the registry that stands in for all of ECR."""
    match = _IMAGE.fullmatch(image)
    if match is None:
        return Pull(
            succeeded=False, message=f'Failed to apply default image tag "{image}": invalid reference format'
        )
    url = f"/v2/{match['repository']}/manifests/{match['digest'] or match['tag'] or 'latest'}"
    said = ""
    logins: list[tuple[str, str] | None] = [*matching_logins(image, docker_configs)]
    for login in logins or [None]:
        headers = {"Host": match["host"], "Accept": _ACCEPT}
        if login is not None:
            encoded = base64.b64encode(":".join(login).encode()).decode()
            headers["Authorization"] = f"Basic {encoded}"
        said = _manifest_refusal(f"{registry_url}{url}", headers)
        if not said:
            return Pull(succeeded=True)
    return Pull(
        succeeded=False,
        message=f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {said}',
    )


def _manifest_refusal(url: str, headers: Mapping[str, str]) -> str:
    """The registry's words, "" when it gives the manifest."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - the sandbox's own registry
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return f"unexpected status from GET request: {error.code} {error.reason}: {_words(error.read())}"
    except OSError as error:
        return f"failed to do request: {error}"


def _words(body: bytes) -> str:
    try:
        return "; ".join(str(one["message"]) for one in json.loads(body)["errors"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:200]
