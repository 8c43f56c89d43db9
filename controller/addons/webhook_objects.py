"""The agent's webhooks as Kubernetes objects: what the API server asks it about, as narrowly as can be said. Pure.

`caBundle` and the path are in none of them: the agent alone owns these (server-side apply, field manager
`pullpass-agent`), and until they are there the API server goes by `failurePolicy`. The path begins with the webhook's
name and ends in a word that nobody else knows. Our own namespace is never asked about, so the agent can always
start. Fields: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from kube.objects import MUTATING_WEBHOOK, Object, ObjectKey
from schemas.addons.aws_ecr import Labelled, PullSecret
from schemas.agent_documents import (
    AGENT_ACCOUNT,
    LABELLED_SECRETS_PATH,
    NAMESPACE_NAME,
    PODS_PATH,
    SERVICE_NAME,
    WEBHOOK_NAME,
)
from schemas.pod_identity_documents import POD_IDENTITY_NAME, POD_IDENTITY_PATH

WEBHOOK_KEY = ObjectKey(MUTATING_WEBHOOK.api_version, MUTATING_WEBHOOK.kind, "", WEBHOOK_NAME)
POD_IDENTITY_KEY = ObjectKey(MUTATING_WEBHOOK.api_version, MUTATING_WEBHOOK.kind, "", POD_IDENTITY_NAME)
SERVICE_PORT = 443

_NAMESPACE_LABEL = "kubernetes.io/metadata.name"
# Every pod's creation waits this long at most, and is then admitted as it is.
_PODS_SECONDS = 3
# With `Fail`, an answer is worth waiting for a little longer.
_FAIL_SECONDS = 5
# Namespaces that every cluster has: selectors take no globs, and the agent leaves the others out by itself.
_ALWAYS_THERE = ("kube-system", "kube-public", "kube-node-lease")
_SKIP_POD_IDENTITY = "eks.amazonaws.com/skip-pod-identity-webhook"
_NOT_MIRRORED = {
    "name": "no-mirror-pod",
    "expression": "!('kubernetes.io/config.mirror' in object.metadata.?annotations.orValue({}))",
}


def pull_secret_webhooks(pull_secret: PullSecret, marks: Mapping[str, str]) -> tuple[Object, ...]:
    """MutatingWebhookConfiguration `pullpass-agent`, where labelled secrets or pods are to be changed; else nothing.

    It always has both webhooks. One that we left out would stay for the sake of `caBundle`, which is the agent's, and
    the API server refuses what is left of it: so one that is not wanted has no rules, and is never called.
    """
    labelled, pods = pull_secret.labelled, pull_secret.append_to_pods
    if labelled is None and not pods:
        return ()
    webhooks = [
        _without_rules(_labelled_secrets(Labelled())) if labelled is None else _labelled_secrets(labelled),
        _pods(pull_secret) if pods else _without_rules(_pods(pull_secret)),
    ]
    return (_configuration(WEBHOOK_NAME, marks, webhooks),)


def pod_identity_webhook(marks: Mapping[str, str]) -> Object:
    """MutatingWebhookConfiguration `pullpass-pod-identity`; which pods it changes, their service accounts say."""
    webhook = {
        **_webhook(POD_IDENTITY_PATH, "pods", ["CREATE"]),
        "namespaceSelector": _namespaces({}, excluded=()),
        "objectSelector": {"matchExpressions": [{"key": _SKIP_POD_IDENTITY, "operator": "DoesNotExist"}]},
        "matchConditions": [_NOT_MIRRORED],
    }
    return _configuration(POD_IDENTITY_NAME, marks, [webhook])


def _labelled_secrets(labelled: Labelled) -> Object:
    fails = labelled.failure_policy == "Fail"
    return {
        **_webhook(LABELLED_SECRETS_PATH, "secrets", ["CREATE", "UPDATE"]),
        "namespaceSelector": _namespaces(dict([labelled.namespace_label]), excluded=()),
        "objectSelector": {"matchLabels": dict([labelled.secret_label])},
        "matchConditions": [
            {
                "name": "image-pull-secret",
                "expression": "object.type == 'kubernetes.io/dockerconfigjson'",
            },
            {
                "name": "not-by-the-agent",  # it writes the same content
                "expression": "request.userInfo.username != "
                f"'system:serviceaccount:{NAMESPACE_NAME}:{AGENT_ACCOUNT}'",
            },
        ],
        "failurePolicy": labelled.failure_policy,
        "timeoutSeconds": _FAIL_SECONDS if fails else _PODS_SECONDS,
    }


def _pods(pull_secret: PullSecret) -> Object:
    """Pods that name pull secrets of their own, and not all of ours."""
    names = [name for name in (pull_secret.name, pull_secret.public_name) if name is not None]
    listed = ", ".join(f"'{name}'" for name in names)
    return {
        **_webhook(PODS_PATH, "pods", ["CREATE"]),
        "namespaceSelector": _namespaces(
            pull_secret.namespace_selector,
            only=pull_secret.namespaces,
            excluded=pull_secret.exclude_namespaces,
        ),
        "objectSelector": {},
        "matchConditions": [
            _NOT_MIRRORED,
            {
                "name": "own-pull-secrets-without-ours",
                "expression": "object.spec.?imagePullSecrets.orValue([]).size() > 0 && "
                f"![{listed}].all(name, object.spec.imagePullSecrets.exists(one, one.?name.orValue('') == name))",
            },
        ],
    }


def _namespaces(matched: Mapping[str, str], *, excluded: Iterable[str], only: Iterable[str] = ()) -> Object:
    """A selector of namespaces. Globs are spelled out for the namespaces that every cluster has."""
    without = {NAMESPACE_NAME}
    for pattern in excluded:
        if "*" in pattern:
            without |= {name for name in _ALWAYS_THERE if fnmatchcase(name, pattern)}
        else:
            without.add(pattern)
    expressions = [{"key": _NAMESPACE_LABEL, "operator": "NotIn", "values": sorted(without)}]
    if named := sorted(set(only)):
        expressions.append({"key": _NAMESPACE_LABEL, "operator": "In", "values": named})
    labels = {"matchLabels": dict(matched)} if matched else {}
    return {**labels, "matchExpressions": expressions}


def _webhook(path: str, resource: str, operations: list[str]) -> Object:
    """One webhook that changes nothing outside the object it is asked about, and that nobody waits for long.

    By its name the agent knows which path to write.
    """
    return {
        "name": f"{path.removeprefix('/')}.pullpass.dev",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {
            "service": {
                "name": SERVICE_NAME,
                "namespace": NAMESPACE_NAME,
                "port": SERVICE_PORT,
            }
        },
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": operations,
                "resources": [resource],
                "scope": "Namespaced",
            }
        ],
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        # Containers that another webhook injects get theirs, too.
        "reinvocationPolicy": "IfNeeded",
        "failurePolicy": "Ignore",
        "timeoutSeconds": _PODS_SECONDS,
    }


def _without_rules(webhook: Object) -> Object:
    return {member: value for member, value in webhook.items() if member != "rules"}


def _configuration(name: str, marks: Mapping[str, str], webhooks: list[Object]) -> Object:
    return {
        "apiVersion": MUTATING_WEBHOOK.api_version,
        "kind": MUTATING_WEBHOOK.kind,
        "metadata": {"name": name, "labels": dict(marks)},
        "webhooks": webhooks,
    }
