"""IAM's rules for an OIDC issuer, with a verdict that says exactly what is wrong.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IssuerVerdict:
    """`usable`, or a `reason` (CamelCase, for a condition) and a `message` that says why not."""

    usable: bool
    reason: str = "Usable"
    message: str = ""


def judge(issuer: str) -> IssuerVerdict:
    """What IAM would say of `issuer`, without asking the network."""
    raise NotImplementedError
