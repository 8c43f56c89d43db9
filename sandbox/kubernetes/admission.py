"""What an API server checks and adds once an object is well-formed: its built-in admission, and RBAC's escalation rule.

ValidatingAdmissionPolicies are stored but not evaluated: the sandbox has no CEL.
"""

from __future__ import annotations

from sandbox.kubernetes import rbac
from sandbox.kubernetes.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    NAMESPACE,
    POD,
    RBAC_GROUP,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Kind,
    Target,
)
from sandbox.kubernetes.statuses import cause, forbidden, not_found
from sandbox.kubernetes.store import Object, Store


def check_namespace(store: Store, target: Target, name: str) -> None:
    """A namespace must be there, and stay, for something to be made in it."""
    stored = store.get(NAMESPACE, "", target.namespace)
    if stored is None:
        raise not_found(NAMESPACE, target.namespace)
    if "deletionTimestamp" in stored.metadata:
        why = f"unable to create new content in namespace {target.namespace} because it is being terminated"
        refused = forbidden(target.kind, name, why)
        said = f"namespace {target.namespace} is being terminated"
        refused.details = (refused.details or {}) | {
            "causes": [cause("NamespaceTerminating", "metadata.namespace", said)]
        }
        raise refused


def admit_pod(store: Store, pod: Object, namespace: str) -> None:
    """The ServiceAccount admission plugin: the account must be there, and gives its pull secrets."""
    spec = pod["spec"]
    name = spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = name
    account = store.get(SERVICE_ACCOUNT, namespace, name)
    if account is None:
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise forbidden(POD, pod["metadata"]["name"], why)
    if not spec.get("imagePullSecrets") and account.object.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account.object["imagePullSecrets"]


def check_escalation(
    store: Store, user: rbac.User, kind: Kind, new: Object, old: Object | None, *, namespace: str
) -> None:
    """Nobody gives what they do not hold, save who may `escalate` a role or `bind` it."""
    if kind.group != RBAC_GROUP or user.is_master:
        return
    name = new["metadata"]["name"]
    if kind in (ROLE, CLUSTER_ROLE):
        if old is not None and new.get("rules") == old.get("rules"):
            return
        ask = rbac.Ask("escalate", RBAC_GROUP, kind.plural, namespace, name)
        wanted = new.get("rules") or []
    elif kind in (ROLE_BINDING, CLUSTER_ROLE_BINDING):
        reference = new["roleRef"]
        if old is not None and (new["roleRef"], new.get("subjects")) == (
            old["roleRef"],
            old.get("subjects"),
        ):
            return
        role_kind = CLUSTER_ROLE if reference["kind"] == "ClusterRole" else ROLE
        ask = rbac.Ask("bind", RBAC_GROUP, role_kind.plural, namespace, reference["name"])
        if rbac.allowed(store, user, ask):
            return
        where = "" if role_kind == CLUSTER_ROLE else namespace
        if store.get(role_kind, where, reference["name"]) is None:
            raise not_found(role_kind, reference["name"])
        wanted = rbac.referenced_rules(store, reference, namespace)
    if rbac.allowed(store, user, ask):
        return
    missing = rbac.uncovered(list(rbac.rules_of(store, user, namespace)), wanted)
    if missing:
        groups = " ".join(f'"{group}"' for group in user.groups)
        rights = "\n".join(rbac.told(right) for right in missing)
        why = (
            f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
            f"{rights}"
        )
        raise forbidden(kind, name, why)
