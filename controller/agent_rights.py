"""The agent's rights: ClusterRoles that `pullpass connect` installs, and of which the hub binds what the settings need.

Handed out by `controller.rights`; documented, right for right, in docs/reference/rights.md.
"""

from __future__ import annotations

from kube.objects import ALCHEMY_PULL_SECRET, CLUSTER_ROLE, ECR_PULL_SECRET, Kind, Object
from schemas.agent_documents import CREDENTIALS_NAME, SECRET_NAME, WEBHOOK_NAME, WEBHOOK_SECRET_NAME
from schemas.pod_identity_documents import POD_IDENTITY_NAME

SECRETS_ROLE = "pullpass-agent-secrets"
WIDE_SECRETS_ROLE = "pullpass-agent-wide-secrets"
CUSTOM_RESOURCES_ROLE = "pullpass-agent-custom-resources"
PODS_ROLE = "pullpass-agent-pods"
WEBHOOKS_ROLE = "pullpass-agent-webhooks"
OWN_SECRETS_ROLE = "pullpass-agent-own-secrets"  # bound inside `pullpass-system` alone

# Each by a ClusterRoleBinding of its name.
CLUSTER_WIDE_ROLES = (SECRETS_ROLE, WIDE_SECRETS_ROLE, CUSTOM_RESOURCES_ROLE, PODS_ROLE, WEBHOOKS_ROLE)
AGENT_ROLES = (*CLUSTER_WIDE_ROLES, OWN_SECRETS_ROLE)
OWN_SECRETS = (CREDENTIALS_NAME, WEBHOOK_SECRET_NAME)
WEBHOOK_NAMES = (WEBHOOK_NAME, POD_IDENTITY_NAME)

_READ = ["get", "list", "watch"]
_WRITE_SECRETS = [*_READ, "create", "patch", "delete"]


def cluster_roles(marks: dict[str, str]) -> list[Object]:
    """All of them, labelled with `marks`."""
    rules: dict[str, list[Object]] = {
        SECRETS_ROLE: [
            # Which namespaces there are, and which registries their pods' images name.
            _rule("", ["namespaces", "pods"], _READ),
            # The reference in `imagePullSecrets`.
            _rule("", ["serviceaccounts"], [*_READ, "patch"]),
            # One name only; `list` and `watch` with the field selector `metadata.name`.
            _rule("", ["secrets"], _WRITE_SECRETS, names=[SECRET_NAME]),
            # What went wrong, told at the objects concerned.
            _rule("", ["events"], ["create", "patch"]),
        ],
        # Pull secrets by names that users choose, labelled secrets, and the AWS keys of custom resources.
        WIDE_SECRETS_ROLE: [_rule("", ["secrets"], _WRITE_SECRETS)],
        CUSTOM_RESOURCES_ROLE: [
            _custom_rule(ECR_PULL_SECRET, "", [*_READ, "patch"]),
            _custom_rule(ECR_PULL_SECRET, "/status", ["get", "patch"]),
            _custom_rule(ECR_PULL_SECRET, "/finalizers", ["update"]),
            # The older operator's objects are honoured as they stand.
            _custom_rule(ALCHEMY_PULL_SECRET, "", _READ),
        ],
        # Pods that are stuck on our registries, and owned by a controller, are evicted; a Job only bears that while it has
        # failures left.
        PODS_ROLE: [
            _rule("", ["pods"], _READ),
            _rule("", ["pods/eviction"], ["create"]),
            _rule("batch", ["jobs"], ["get"]),
        ],
        WEBHOOKS_ROLE: [
            # Which role a pod's service account names.
            _rule("", ["serviceaccounts"], _READ),
            # `caBundle`.
            _rule(
                "admissionregistration.k8s.io",
                ["mutatingwebhookconfigurations"],
                [*_READ, "patch"],
                names=list(WEBHOOK_NAMES),
            ),
        ],
        OWN_SECRETS_ROLE: [
            # The webhooks' first certificate is made by POST, so that of two replicas one wins. The admission policy
            # ends it at the names below.
            _rule("", ["secrets"], ["create"]),
            _rule("", ["secrets"], [*_READ, "patch", "delete"], names=list(OWN_SECRETS)),
        ],
    }
    return [
        {
            "apiVersion": CLUSTER_ROLE.api_version,
            "kind": CLUSTER_ROLE.kind,
            "metadata": {"name": name, "labels": dict(marks)},
            "rules": rules[name],
        }
        for name in AGENT_ROLES
    ]


def _rule(group: str, resources: list[str], verbs: list[str], *, names: list[str] | None = None) -> Object:
    named = {} if names is None else {"resourceNames": names}
    return {"apiGroups": [group], "resources": resources, **named, "verbs": list(verbs)}


def _custom_rule(kind: Kind, subresource: str, verbs: list[str]) -> Object:
    group = kind.api_version.partition("/")[0]
    return _rule(group, [f"{kind.plural}{subresource}"], verbs)
