"""Kubernetes objects are plain dicts; here stand their kinds' known paths and the few questions asked of them.

No discovery calls: every kind we touch is listed in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind and where it lives; `api_version` as in a manifest (`v1`, `apps/v1`)."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """`/apis/apps/v1/namespaces/NAMESPACE/deployments/NAME`; namespace None on a namespaced kind: all.

        Raises:
            ValueError: an object of a namespaced kind is asked for without its namespace.
        """
        root = "/api/v1" if self.api_version == "v1" else f"/apis/{self.api_version}"
        if not self.namespaced:
            root = f"{root}/{self.plural}"
        elif namespace:
            root = f"{root}/namespaces/{quote(namespace, safe='')}/{self.plural}"
        elif name is None:
            root = f"{root}/{self.plural}"
        else:
            raise ValueError(f"a {self.kind} lives in a namespace, and none was given for {name!r}")
        return root if name is None else f"{root}/{quote(name, safe='')}"


NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
NODE = Kind("v1", "Node", "nodes", namespaced=False)
POD = Kind("v1", "Pod", "pods", namespaced=True)
SECRET = Kind("v1", "Secret", "secrets", namespaced=True)
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps", namespaced=True)
EVENT = Kind("v1", "Event", "events", namespaced=True)
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts", namespaced=True)
SERVICE = Kind("v1", "Service", "services", namespaced=True)
RESOURCE_QUOTA = Kind("v1", "ResourceQuota", "resourcequotas", namespaced=True)
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments", namespaced=True)
DAEMON_SET = Kind("apps/v1", "DaemonSet", "daemonsets", namespaced=True)
JOB = Kind("batch/v1", "Job", "jobs", namespaced=True)
DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", namespaced=True)
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases", namespaced=True)
ROLE = Kind("rbac.authorization.k8s.io/v1", "Role", "roles", namespaced=True)
ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", namespaced=True)
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = Kind(
    "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
ADMISSION_POLICY = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    namespaced=False,
)
ADMISSION_POLICY_BINDING = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)

CUSTOM_RESOURCE_DEFINITION = Kind(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
ECR_PULL_SECRET = Kind("pullpass.dev/v1", "ECRPullSecret", "ecrpullsecrets", namespaced=False)
# Of the older operator, ecr-creds-refresher: read, never written.
ALCHEMY_PULL_SECRET = Kind("alchemy.com/v1alpha1", "ECRPullSecret", "ecrpullsecrets", namespaced=False)
MUTATING_WEBHOOK = Kind(
    "admissionregistration.k8s.io/v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    namespaced=False,
)

# In the order in which they are applied (a kind needs those before it); removal goes backwards.
KINDS: tuple[Kind, ...] = (
    NAMESPACE,
    NODE,
    CUSTOM_RESOURCE_DEFINITION,
    CLUSTER_ROLE,
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
    SERVICE_ACCOUNT,
    SECRET,
    CONFIG_MAP,
    RESOURCE_QUOTA,
    LEASE,
    ROLE,
    CLUSTER_ROLE_BINDING,
    ROLE_BINDING,
    SERVICE,
    DISRUPTION_BUDGET,
    DEPLOYMENT,
    DAEMON_SET,
    JOB,
    MUTATING_WEBHOOK,
    POD,
    ECR_PULL_SECRET,
    ALCHEMY_PULL_SECRET,
    EVENT,
)


@dataclass(frozen=True, order=True)
class ObjectKey:
    """What an object is called inside one cluster; `namespace` is "" for a kind without."""

    api_version: str
    kind: str
    namespace: str
    name: str


_KINDS_BY_NAME = {(kind.api_version, kind.kind): kind for kind in KINDS}
_APPLY_ORDER = {(kind.api_version, kind.kind): position for position, kind in enumerate(KINDS)}


def kind_of(obj: Object) -> Kind:
    """Raises `KeyError` for a kind that is not in `KINDS`."""
    return _KINDS_BY_NAME[obj["apiVersion"], obj["kind"]]


def key_of(obj: Object) -> ObjectKey:
    """The key of an object."""
    metadata = obj["metadata"]
    return ObjectKey(obj["apiVersion"], obj["kind"], metadata.get("namespace") or "", metadata["name"])


def in_apply_order(objects: Iterable[Object]) -> list[Object]:
    """Sorted by kind as in `KINDS`, then by namespace and name. Raises `KeyError` as `kind_of` does."""

    def position(obj: Object) -> tuple[int, ObjectKey]:
        return _APPLY_ORDER[obj["apiVersion"], obj["kind"]], key_of(obj)

    return sorted(objects, key=position)
