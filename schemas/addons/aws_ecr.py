"""awsECR: private ECR images without a stored AWS key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.addons.schema import ROLE_ARN, ROLE_ARN_EXPECTED, AddOnSchema
from schemas.fields import Choice, ListOf, NotYet, Object, Text, TextMap, TextOrTexts
from schemas.structure import strict, wrong_place

# Private registries of every partition, which the region's name tells; dual-stack and FIPS ones included:
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html
_REGION = r"[a-z0-9]+(?:-[a-z0-9]+)+"
_DOMAINS = {
    "cn-": r"amazonaws\.com\.cn",
    "eusc-": r"amazonaws\.eu",
    "us-iso-": r"c2s\.ic\.gov",
    "us-isob-": r"sc2s\.sgov\.gov",
    "eu-isoe-": r"cloud\.adc-e\.uk",
    "us-isof-": r"csp\.hci\.ic\.gov",
}
_COMMERCIAL_REGION = rf"(?!{'|'.join(_DOMAINS)}){_REGION}"  # GovCloud's too
_PLAIN = "|".join(
    [
        rf"{_COMMERCIAL_REGION}\.amazonaws\.com",
        *(rf"(?={prefix}){_REGION}\.{domain}" for prefix, domain in _DOMAINS.items()),
    ]
)
_DUAL_STACK = rf"{_COMMERCIAL_REGION}\.on\.aws|(?=cn-){_REGION}\.on\.amazonwebservices\.com\.cn"
_REGISTRY = re.compile(
    rf"[0-9]{{12}}\.(?:dkr\.ecr(?:-fips)?\.(?:{_PLAIN})|dkr-ecr(?:-fips)?\.(?:{_DUAL_STACK}))", re.ASCII
)
_REGISTRY_EXPECTED = (
    "the host of a private ECR registry, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com"
)
# https://github.com/distribution/reference: path components, then a tag, a digest or both.
_IMAGE = re.compile(
    rf"(?:{_REGISTRY.pattern})(/[a-z0-9]+((\.|_{{1,2}}|-+)[a-z0-9]+)*)+"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NAMESPACE_GLOB = re.compile(r"[a-z0-9*-]{1,63}", re.ASCII)
_ACCOUNT = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)


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


_SPEC = {"roleArn": Text(ROLE_ARN_EXPECTED, pattern=ROLE_ARN)}
_SETTINGS = {
    "delivery": Choice("auto", "pullSecret", later=("node",)),
    "identity": Choice("shared", later=("serviceAccount",)),
    "registries": ListOf(Text(_REGISTRY_EXPECTED, pattern=_REGISTRY)),
    "verifyImage": Text("an image in a private ECR registry, with its host", pattern=_IMAGE),
    "node": NotYet(),
    "pullSecret": Object(
        strict(
            "PullSecret",
            {
                "namespaces": ListOf(Text("the name of a namespace", pattern=_NAMESPACE)),
                "namespaceSelector": TextMap("labels of namespaces, all of which must be there"),
                "excludeNamespaces": ListOf(
                    Text(
                        "the name of a namespace, where * stands for any part of it", pattern=_NAMESPACE_GLOB
                    )
                ),
                "serviceAccounts": TextOrTexts(
                    "all, default, none, or a list of service account names",
                    words=("all", "default", "none"),
                    pattern=_ACCOUNT,
                ),
                "name": NotYet(),
            },
        )
    ),
}


def _view(spec: Mapping[str, Any], settings: Mapping[str, Any]) -> AwsEcr:
    return AwsEcr(
        role_arn=spec.get("roleArn"),
        delivery=settings.get("delivery") or "auto",
        identity=settings.get("identity") or "shared",
        registries=tuple(settings.get("registries") or ()),
        verify_image=settings.get("verifyImage"),
        pull_secret=_pull_secret(settings.get("pullSecret") or {}),
    )


def _pull_secret(settings: Mapping[str, Any]) -> PullSecret:
    default = PullSecret()
    excluded = settings.get("excludeNamespaces")
    accounts = settings.get("serviceAccounts")
    return PullSecret(
        namespaces=tuple(settings.get("namespaces") or ()),
        namespace_selector=dict(settings.get("namespaceSelector") or {}),
        exclude_namespaces=default.exclude_namespaces if excluded is None else tuple(excluded),
        service_accounts=tuple(accounts)
        if isinstance(accounts, list)
        else accounts or default.service_accounts,
    )


SCHEMA = AddOnSchema(
    key="awsECR",
    spec=strict("AwsEcr", _SPEC, elsewhere=wrong_place(_SETTINGS, "settings.awsECR")),
    settings=strict("AwsEcrSettings", _SETTINGS, elsewhere=wrong_place(_SPEC, "spec.addOns.awsECR")),
    requires=("awsWorkloadIdentity",),
    providers=("aws", "hetzner", "generic"),
    view=_view,
)
