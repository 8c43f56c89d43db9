"""The plugin on the host: put there by rename, and run there exactly as the kubelet would.

`loop` and `install` call `put` ahead of any change and `verify` after it. The kubelet runs a plugin with its own
environment and the provider's `env` added, a `CredentialProviderRequest` on standard input and a minute to answer
(`pkg/credentialprovider/plugin/plugin.go`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.node.distributions import Layout, kubelet_environment
from agent.node.host import NOT_RUN, TIMED_OUT, Host, HostError
from agent.node.provider_config import PROVIDER_NAME

_TIMEOUT_SECONDS = 60.0
_CANNOT_EXECUTE = 126
_LONGEST = 400
_SECRET = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=password\":\")[^\"]+")
_SELINUX = "/sys/fs/selinux/enforce"
_API = "credentialprovider.kubelet.k8s.io/v1"
# What AWS says, and the issue that names it to the user; the first that fits counts.
_CODES = (
    ("No OpenIDConnect provider found", "OidcProviderMissing"),
    ("more than one audience", "AudienceAmbiguous"),
    ("Incorrect token audience", "AudienceNotAllowed"),
    ("retrieve verification key", "VerificationKeyUnavailable"),
    ("Not authorized to perform: sts:AssumeRoleWithWebIdentity", "TrustPolicyMismatch"),
    ("Not authorized to perform sts:AssumeRoleWithWebIdentity", "TrustPolicyMismatch"),
    ("ExpiredToken", "TokenExpired"),
    ("IDPCommunicationError", "IdentityProviderUnreachable"),
    ("IDPRejectedClaim", "ClaimRejected"),
    ("RegionDisabled", "StsRegionDisabled"),
    ("ecr:GetAuthorizationToken", "EcrAccessDenied"),
    ("unable to read file", "TokenUnreadable"),
)


@dataclass(frozen=True)
class Verification:
    """How the plugin answered: `code` is empty when it gave credentials, else an issue's."""

    at: datetime
    ok: bool
    code: str
    message: str


def path(layout: Layout) -> str:
    """Where the plugin lies on the host."""
    return f"{layout.bin_directory}/{PROVIDER_NAME}"


def put(host: Host, layout: Layout, source: Path) -> None:
    """Puts the plugin there, if it is another one, and sees that the host can run it.

    A newer one takes the name of the old: the kubelet starts it on its next pull, without a restart.

    Raises:
        HostError: it cannot be written, or the host does not run it (architecture, noexec, SELinux).
    """
    to = path(layout)
    if host.executable(to) and host.same(source, to):
        return
    host.install(source, to)
    if host.kind(_SELINUX):
        host.run(["chcon", "-t", "bin_t", to])
    tried = host.run([to], stdin="", timeout_seconds=_TIMEOUT_SECONDS)
    if tried.code in (_CANNOT_EXECUTE, NOT_RUN):
        host.remove(to)
        raise HostError(f"{to}: cannot be run on this node: {_short(tried.errors)}")


def verify(host: Host, layout: Layout, environment: Mapping[str, str], image: str) -> Verification:
    """Asks the installed plugin for credentials as the kubelet would."""
    request = {"kind": "CredentialProviderRequest", "apiVersion": _API, "image": image}
    result = host.run(
        [path(layout)],
        stdin=json.dumps(request),
        environment={**kubelet_environment(host, layout.service), **environment},
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    now = host.now()
    if result.code == TIMED_OUT:
        return Verification(
            now, False, "StsUnreachable", f"The plugin did not answer within {_TIMEOUT_SECONDS:g} s"
        )
    if result.code:
        return Verification(
            now, False, _code(result.errors), _short(result.errors) or f"Exit code {result.code}"
        )
    try:
        answer = json.loads(result.output)
        given = bool(answer["auth"])
    except (ValueError, KeyError, TypeError):
        given = False
    if not given:
        return Verification(now, False, "EcrRefused", "The plugin gave no credentials")
    return Verification(now, True, "", "")


def _code(errors: str) -> str:
    for words, code in _CODES:
        if words in errors:
            return code
    if re.search(
        r"dial tcp|no such host|timeout|connection refused|deadline exceeded", errors, re.IGNORECASE
    ):
        return "StsUnreachable" if "sts" in errors.lower() else "EcrUnreachable"
    return "StsRefused" if "STS" in errors or "AssumeRole" in errors else "EcrRefused"


def _short(errors: str) -> str:
    """The last line that says something, without the logger's prefix and without a secret."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    said = lines[-1].rpartition("Error running credential provider plugin: ")[2] if lines else ""
    return _SECRET.sub("…", said)[:_LONGEST]
