"""awsECR: private ECR images without a stored AWS key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PullSecret:
    """`settings.awsECR.pullSecret`: which namespaces and service accounts get the secret.

    `namespaces` (names; empty: all) and `namespace_selector` (matchLabels; empty: all) both narrow;
    `exclude_namespaces` are names or `kube-*` globs. `service_accounts` is `all`, `default`, `none` or names.
    """

    namespaces: tuple[str, ...] = ()
    namespace_selector: Mapping[str, str] = field(default_factory=dict)
    exclude_namespaces: tuple[str, ...] = ("kube-*",)
    service_accounts: str | tuple[str, ...] = "all"


@dataclass(frozen=True)
class AwsEcr:
    """`spec.addOns.awsECR` and `settings.awsECR`, defaults filled in.

    `delivery` is `auto` or `pullSecret` in this version. `registries` are ECR host names.
    """

    role_arn: str | None = None
    delivery: str = "auto"
    identity: str = "shared"
    registries: tuple[str, ...] = ()
    verify_image: str | None = None
    pull_secret: PullSecret = field(default_factory=PullSecret)
