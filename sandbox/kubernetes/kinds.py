"""The kinds that the sandbox's API server serves, and how a URL path names them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """One kind; `version` is its served version, `group` "" for core. `subresources` beside the object itself."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    path: str = field(init=False)
    api_version: str = field(init=False)

    def __post_init__(self) -> None:
        api_version = f"{self.group}/{self.version}" if self.group else self.version
        object.__setattr__(self, "api_version", api_version)
        object.__setattr__(self, "path", f"/apis/{api_version}" if self.group else f"/api/{api_version}")

    @property
    def resource(self) -> str:
        """`deployments.apps`: what messages call it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


RBAC_GROUP = "rbac.authorization.k8s.io"
ADMISSION_GROUP = "admissionregistration.k8s.io"

NAMESPACE = Kind("", "v1", "Namespace", "namespaces", False, ("ns",), ("status",))
NODE = Kind("", "v1", "Node", "nodes", False, ("no",), ("status",))
POD = Kind("", "v1", "Pod", "pods", True, ("po",), ("status", "eviction"))
SECRET = Kind("", "v1", "Secret", "secrets", namespaced=True)
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", True, ("cm",))
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts", True, ("sa",), ("token",))
SERVICE = Kind("", "v1", "Service", "services", True, ("svc",), ("status",))
RESOURCE_QUOTA = Kind("", "v1", "ResourceQuota", "resourcequotas", True, ("quota",), ("status",))
EVENT = Kind("", "v1", "Event", "events", True, ("ev",))
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments", True, ("deploy",), ("status",))
DAEMON_SET = Kind("apps", "v1", "DaemonSet", "daemonsets", True, ("ds",), ("status",))
ROLE = Kind(RBAC_GROUP, "v1", "Role", "roles", namespaced=True)
ROLE_BINDING = Kind(RBAC_GROUP, "v1", "RoleBinding", "rolebindings", namespaced=True)
CLUSTER_ROLE = Kind(RBAC_GROUP, "v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = Kind(RBAC_GROUP, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False)
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases", namespaced=True)
DISRUPTION_BUDGET = Kind(
    "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True, ("pdb",), ("status",)
)
DEFINITION = Kind(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    False,
    ("crd", "crds"),
    ("status",),
)
ADMISSION_KINDS = (
    Kind(
        ADMISSION_GROUP,
        "v1",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        False,
        (),
        ("status",),
    ),
    Kind(
        ADMISSION_GROUP,
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        namespaced=False,
    ),
    Kind(
        ADMISSION_GROUP,
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        namespaced=False,
    ),
    Kind(
        ADMISSION_GROUP,
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        namespaced=False,
    ),
)

KINDS: tuple[Kind, ...] = (
    NAMESPACE,
    NODE,
    POD,
    SECRET,
    CONFIG_MAP,
    SERVICE_ACCOUNT,
    SERVICE,
    RESOURCE_QUOTA,
    EVENT,
    DEPLOYMENT,
    DAEMON_SET,
    ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    LEASE,
    DISRUPTION_BUDGET,
    DEFINITION,
    *ADMISSION_KINDS,
)
BY_PLURAL: dict[tuple[str, str], Kind] = {(kind.api_version, kind.plural): kind for kind in KINDS}


@dataclass(frozen=True)
class Target:
    """What a path asks for; `namespace` "" for all or for a kind without, `name` "" for the collection."""

    kind: Kind
    namespace: str
    name: str
    subresource: str = ""


def parse_path(path: str) -> Target | None:
    """`/apis/apps/v1/namespaces/NS/deployments/NAME/status`; None when no kind of ours is meant."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:  # noqa: PLR2004 - api, version, plural
        api_version, rest = parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:  # noqa: PLR2004 - apis, group, version, plural
        api_version, rest = f"{parts[1]}/{parts[2]}", parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and (api_version, rest[2]) in BY_PLURAL:  # noqa: PLR2004 - namespaces, NS, plural
        namespace, rest = rest[1], rest[2:]
    kind = BY_PLURAL.get((api_version, rest[0]))
    if kind is None or len(rest) > 3 or (bool(namespace) and not kind.namespaced):  # noqa: PLR2004 - plural, name, subresource
        return None
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""  # noqa: PLR2004 - the same
    if subresource and subresource not in kind.subresources:
        return None
    if kind.namespaced and name and not namespace:
        return None
    return Target(kind, namespace, name, subresource)
