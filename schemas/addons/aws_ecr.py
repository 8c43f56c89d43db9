"""awsECR: private ECR images without a stored AWS key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.addons.ecr_settings import PUBLIC_REGISTRY, SETTINGS, SPEC
from schemas.addons.schema import AddOnSchema
from schemas.errors import Mistake, json_path
from schemas.structure import strict, wrong_place


class Label(NamedTuple):
    """One label of Kubernetes objects."""

    key: str
    value: str


_NAMESPACE_LABEL = Label("pullpass.dev/pull-secrets", "enabled")
_SECRET_LABEL = Label("pullpass.dev/managed", "true")


@dataclass(frozen=True)
class Labelled:
    """`settings.awsECR.pullSecret.labelled`: secrets of the users' own that are filled with the add-on's credentials.

    Those of type `kubernetes.io/dockerconfigjson` with `secret_label` in namespaces with `namespace_label`.
    `failure_policy` is the webhook's: `Ignore` or `Fail`.
    """

    namespace_label: Label = _NAMESPACE_LABEL
    secret_label: Label = _SECRET_LABEL
    failure_policy: str = "Ignore"


@dataclass(frozen=True)
class AdoptedKeys:
    """Where the AWS keys of adopted objects are: a secret, and the keys of its data."""

    namespace: str
    name: str
    access_key_id: str = "AWS_ACCESS_KEY_ID"
    secret_access_key: str = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a key


@dataclass(frozen=True)
class Adopted:
    """One of `settings.awsECR.pullSecret.adopt`: an older operator's objects, honoured as they stand.

    `resource` is the name of its CRD. `registries` are host names; empty: the add-on's. Without `keys`, the cluster's
    role is used.
    """

    resource: str
    registries: tuple[str, ...] = ()
    keys: AdoptedKeys | None = None


@dataclass(frozen=True)
class PullSecret:
    """`settings.awsECR.pullSecret`: where pull secrets come to be, under which names, and by which routes.

    `namespaces` (names; empty: all) and `namespace_selector` (matchLabels; empty: all) both narrow;
    `exclude_namespaces` are names or `kube-*` globs. `service_accounts` is `all`, `default`, `none` or names.

    `name` is the secret's; `public_name` that of a separate one for public.ecr.aws (None: one for all registries).
    `append_to_pods`: pods that name their own `imagePullSecrets` get ours appended. `retry_pods`: pods that are stuck
    on our registries are deleted if a controller owns them. `labelled`: None is off. `custom_resources`: ECRPullSecret
    of pullpass.dev is served.
    """

    namespaces: tuple[str, ...] = ()
    namespace_selector: Mapping[str, str] = field(default_factory=dict)
    exclude_namespaces: tuple[str, ...] = ("kube-*",)
    service_accounts: str | tuple[str, ...] = "all"
    name: str = "pullpass-ecr"
    public_name: str | None = None
    append_to_pods: bool = False
    retry_pods: bool = False
    labelled: Labelled | None = None
    custom_resources: bool = False
    adopt: tuple[Adopted, ...] = ()

    @property
    def brings_identities(self) -> bool:
        """Whether there is something to serve that names its identity itself, and so needs no `roleArn`."""
        return self.custom_resources or any(adopted.keys is not None for adopted in self.adopt)


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
    labelled = settings.get("labelled")
    return PullSecret(
        namespaces=tuple(settings.get("namespaces") or ()),
        namespace_selector=dict(settings.get("namespaceSelector") or {}),
        exclude_namespaces=default.exclude_namespaces if excluded is None else tuple(excluded),
        service_accounts=tuple(accounts)
        if isinstance(accounts, list)
        else accounts or default.service_accounts,
        name=settings.get("name") or default.name,
        public_name=settings.get("publicName"),
        append_to_pods=bool(settings.get("appendToPods")),
        retry_pods=bool(settings.get("retryPods")),
        labelled=None if labelled is None else _labelled(labelled),
        custom_resources=bool(settings.get("customResources")),
        adopt=tuple(_adopted(each) for each in settings.get("adopt") or ()),
    )


def _labelled(settings: Mapping[str, Any]) -> Labelled:
    default = Labelled()

    def label(key: str, otherwise: Label) -> Label:
        return next((Label(*item) for item in (settings.get(key) or {}).items()), otherwise)

    return Labelled(
        namespace_label=label("namespaceLabel", default.namespace_label),
        secret_label=label("secretLabel", default.secret_label),
        failure_policy=settings.get("failurePolicy") or default.failure_policy,
    )


def _adopted(settings: Mapping[str, Any]) -> Adopted:
    keys = settings.get("keys")
    return Adopted(
        resource=settings["resource"],
        registries=tuple(settings.get("registries") or ()),
        keys=None
        if keys is None
        else AdoptedKeys(
            namespace=keys["namespace"],
            name=keys["name"],
            access_key_id=keys.get("accessKeyId") or AdoptedKeys.access_key_id,
            secret_access_key=keys.get("secretAccessKey") or AdoptedKeys.secret_access_key,
        ),
    )


def _contradictions(settings: Mapping[str, Any]) -> Iterator[Mistake]:
    """What does not go together, although each member is right by itself."""
    wishes = _view({}, settings)
    if wishes.identity == "serviceAccount":
        yield from _against_service_accounts(wishes)
    yield from _between_names(wishes)
    yield from _twice_adopted(wishes)
    if wishes.pull_secret.append_to_pods and not wishes.by_pull_secrets:
        yield Mistake(
            json_path("$", "pullSecret", "appendToPods"),
            "needs pull secrets to append, and there are none with this delivery or identity",
            "use delivery `auto` or `pullSecret` with identity `shared`, or leave it out",
        )


def _against_service_accounts(wishes: AwsEcr) -> Iterator[Mistake]:
    """A secret is everybody's, and the trust policy needs names."""
    if wishes.delivery == "pullSecret":
        yield Mistake(
            json_path("$", "identity"),
            "`serviceAccount` does not go with delivery `pullSecret`, which every pod of a namespace shares",
            "use delivery `node` or `auto`",
        )
    if not wishes.service_accounts:
        yield Mistake(
            json_path("$", "serviceAccounts"),
            "is missing; identity `serviceAccount` needs to know who may assume the role",
            'name them, such as ["shop/web"]',
        )
    if wishes.pull_secret.labelled is not None:
        yield Mistake(
            json_path("$", "pullSecret", "labelled"),
            "does not go with identity `serviceAccount`: whoever may read the secret could pull as the role",
            "use identity `shared`, or leave it out",
        )


def _between_names(wishes: AwsEcr) -> Iterator[Mistake]:
    name, public_name = wishes.pull_secret.name, wishes.pull_secret.public_name
    if public_name is None:
        return
    path = json_path("$", "pullSecret", "publicName")
    if PUBLIC_REGISTRY not in wishes.registries:
        yield Mistake(
            path,
            f"names a secret for {PUBLIC_REGISTRY}, which is not among the registries",
            f'add "{PUBLIC_REGISTRY}" to `settings.awsECR.registries`',
        )
    if name == public_name:
        yield Mistake(
            path,
            f"is the name of the other secret, too: `{name}`",
            "leave it out to have one secret for all registries, or choose another name",
        )


def _twice_adopted(wishes: AwsEcr) -> Iterator[Mistake]:
    resources = [adopted.resource for adopted in wishes.pull_secret.adopt]
    for index, resource in enumerate(resources):
        if resource in resources[:index]:
            yield Mistake(
                json_path("$", "pullSecret", "adopt", index, "resource"),
                f"stands there twice: `{resource}`",
                "keep one of them",
            )


SCHEMA = AddOnSchema(
    key="awsECR",
    spec=strict("AwsEcr", SPEC, elsewhere=wrong_place(SETTINGS, "settings.awsECR")),
    settings=strict("AwsEcrSettings", SETTINGS, elsewhere=wrong_place(SPEC, "spec.addOns.awsECR")),
    requires=("awsWorkloadIdentity",),
    providers=("aws", "hetzner", "generic"),
    view=_view,
    contradictions=_contradictions,
)
