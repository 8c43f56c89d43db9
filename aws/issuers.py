"""IAM's rules for an OIDC issuer, with a verdict that says exactly what is wrong.

Called by `controller` when it has read a cluster's issuer, before anybody is sent to IAM with a URL that AWS can
never reach. https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

LONGEST_URL = 255  # IAM CreateOpenIDConnectProvider, Url

_PRINTABLE = re.compile(r"[!-~]+")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_CLUSTER_LOCAL = re.compile(
    r"kubernetes(?:\.default(?:\.svc(?:\..+)?)?)?|.+\.svc|.+\.svc\.[^.]+|.+\.cluster\.local"
)
# RFC 6761 and RFC 6762, RFC 8375, ICANN's .internal, RFC 2606: names that no public DNS answers for.
_PRIVATE_SUFFIXES = (
    "local",
    "localhost",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home.arpa",
    "test",
    "example",
    "invalid",
    "onion",
)


@dataclass(frozen=True)
class IssuerVerdict:
    """`usable`, or a `reason` (CamelCase, for a condition) and a `message` that says why not."""

    usable: bool
    reason: str = "Usable"
    message: str = ""


def judge(issuer: str) -> IssuerVerdict:
    """What IAM would say of `issuer`, without asking the network.

    What cannot be mended by another spelling (a name inside the cluster, a private address) is said before what
    can (a port, a query).
    """
    if not issuer:
        return _refused("NoIssuer", "the API server names no issuer")
    if _PRINTABLE.fullmatch(issuer) is None:
        return _refused("NotAUrl", f"{issuer!r} holds a space or a character that is not ASCII")
    try:
        parts = urlsplit(issuer)
        port = parts.port
    except ValueError as error:
        return _refused("NotAUrl", f"{issuer!r} is no URL: {error}")
    if parts.scheme.lower() != "https":
        return _refused("NotHttps", f"{issuer!r} is not an https:// URL, and IAM takes no other")
    host = (parts.hostname or "").rstrip(".")
    if not host:
        return _refused("NotAUrl", f"{issuer!r} names no host")
    return _judge_host(issuer, host) or _judge_spelling(issuer, parts, port) or IssuerVerdict(usable=True)


def _judge_host(issuer: str, host: str) -> IssuerVerdict | None:
    if _CLUSTER_LOCAL.fullmatch(host):
        return _refused(
            "ClusterLocal",
            f"{issuer!r} is a name that exists only inside the cluster, so AWS cannot reach it",
        )
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _judge_name(issuer, host)
    if not address.is_global:
        return _refused(
            "PrivateAddress",
            f"{issuer!r} is at {address}, an address that AWS cannot reach over the internet",
        )
    return None


def _judge_name(issuer: str, host: str) -> IssuerVerdict | None:
    labels = host.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        return _refused("NotAUrl", f"{issuer!r} names the host {host!r}, which is no DNS name")
    private = len(labels) == 1 or host.endswith(tuple(f".{suffix}" for suffix in _PRIVATE_SUFFIXES))
    # A last label of digits alone is a misspelt IPv4 address: no top-level domain looks like that (RFC 3696).
    if private or labels[-1].isdigit():
        return _refused(
            "NotPublicName",
            f"{issuer!r} is at {host!r}, a name that public DNS does not know, so AWS cannot reach it",
        )
    return None


def _judge_spelling(issuer: str, parts: SplitResult, port: int | None) -> IssuerVerdict | None:
    if parts.username is not None or parts.password is not None:
        return _refused(
            "HasUserInfo", "the issuer's URL holds a user name or password, which IAM does not take"
        )
    if port is not None or parts.netloc.endswith(":"):
        return _refused(
            "HasPort", f"{issuer!r} holds a port, and IAM takes an issuer on port 443 only, unwritten"
        )
    if "?" in issuer:
        return _refused("HasQuery", f"{issuer!r} holds a query, which IAM does not take")
    if "#" in issuer:
        return _refused("HasFragment", f"{issuer!r} holds a fragment, which IAM does not take")
    if len(issuer) > LONGEST_URL:
        return _refused(
            "TooLong", f"the issuer's URL has {len(issuer)} characters, IAM takes at most {LONGEST_URL}"
        )
    return None


def _refused(reason: str, message: str) -> IssuerVerdict:
    return IssuerVerdict(usable=False, reason=reason, message=message)
