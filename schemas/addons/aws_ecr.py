"""awsECR: private ECR images without a stored AWS key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.addons.schema import ROLE_ARN, ROLE_ARN_EXPECTED, AddOnSchema
from schemas.errors import Mistake
from schemas.fields import Choice, Flag, Integer, ListOf, NotYet, Object, Text, TextMap, TextOrTexts
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
_WORKLOAD = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
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
class NodeDelivery:
    """`settings.awsECR.node`: which nodes get credentials themselves, and how carefully they are changed.

    `max_unavailable` nodes restart their kubelet at once. `selector` (labels of Nodes; empty: all) names the nodes.
    `restart_device_nodes` lets kubelets restart under pods that hold devices.
    """

    max_unavailable: int = 1
    selector: Mapping[str, str] = field(default_factory=dict)
    restart_device_nodes: bool = False


@dataclass(frozen=True)
class AwsEcr:
    """`spec.addOns.awsECR` and `settings.awsECR`, defaults filled in.

    `delivery` is `auto`, `node` or `pullSecret`, `identity` `shared` or `serviceAccount`. `registries` are ECR host
    names. `service_accounts` (`namespace/name`) are those that the trust policy names for identity `serviceAccount`.
    """

    role_arn: str | None = None
    delivery: str = "auto"
    identity: str = "shared"
    service_accounts: tuple[str, ...] = ()
    registries: tuple[str, ...] = ()
    verify_image: str | None = None
    node: NodeDelivery = field(default_factory=NodeDelivery)
    pull_secret: PullSecret = field(default_factory=PullSecret)

    @property
    def by_nodes(self) -> bool:
        """Whether nodes are to get credentials themselves."""
        return self.delivery != "pullSecret"

    @property
    def by_pull_secrets(self) -> bool:
        """Whether pull secrets may be made: never where each workload is to pull as itself."""
        return self.delivery != "node" and self.identity == "shared"

    def by_instance_role(self, provider: str) -> bool:
        """Whether nodes use the role of their own instances: on AWS, without a role of ours. It takes no token."""
        return provider == "aws" and not self.role_arn and self.identity == "shared" and self.by_nodes


_SPEC = {"roleArn": Text(ROLE_ARN_EXPECTED, pattern=ROLE_ARN)}
_SETTINGS = {
    "delivery": Choice("auto", "node", "pullSecret"),
    "identity": Choice("shared", "serviceAccount"),
    "serviceAccounts": ListOf(
        Text("a service account with its namespace, such as shop/web", pattern=_WORKLOAD)
    ),
    "registries": ListOf(Text(_REGISTRY_EXPECTED, pattern=_REGISTRY)),
    "verifyImage": Text("an image in a private ECR registry, with its host", pattern=_IMAGE),
    "node": Object(
        strict(
            "NodeDelivery",
            {
                "maxUnavailable": Integer(1),
                "selector": TextMap("labels of nodes, all of which must be there"),
                "restartDeviceNodes": Flag(),
            },
        )
    ),
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
        service_accounts=tuple(settings.get("serviceAccounts") or ()),
        registries=tuple(settings.get("registries") or ()),
        verify_image=settings.get("verifyImage"),
        node=_node(settings.get("node") or {}),
        pull_secret=_pull_secret(settings.get("pullSecret") or {}),
    )


def _node(settings: Mapping[str, Any]) -> NodeDelivery:
    return NodeDelivery(
        max_unavailable=settings.get("maxUnavailable") or NodeDelivery.max_unavailable,
        selector=dict(settings.get("selector") or {}),
        restart_device_nodes=bool(settings.get("restartDeviceNodes")),
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


def _contradictions(settings: Mapping[str, Any]) -> Iterator[Mistake]:
    """What does not go with identity `serviceAccount`: a secret is everybody's, and the trust policy needs names."""
    wishes = _view({}, settings)
    if wishes.identity == "shared":
        return
    if wishes.delivery == "pullSecret":
        yield Mistake(
            "identity",
            "`serviceAccount` does not go with delivery `pullSecret`, which every pod of a namespace shares",
            "use delivery `node` or `auto`",
        )
    if not wishes.service_accounts:
        yield Mistake(
            "serviceAccounts",
            "is missing; identity `serviceAccount` needs to know who may assume the role",
            'name them, such as ["shop/web"]',
        )


SCHEMA = AddOnSchema(
    key="awsECR",
    spec=strict("AwsEcr", _SPEC, elsewhere=wrong_place(_SETTINGS, "settings.awsECR")),
    settings=strict("AwsEcrSettings", _SETTINGS, elsewhere=wrong_place(_SPEC, "spec.addOns.awsECR")),
    requires=("awsWorkloadIdentity",),
    providers=("aws", "hetzner", "generic"),
    view=_view,
    contradictions=_contradictions,
)
