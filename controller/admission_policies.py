"""What holds the agent to its work beyond what RBAC can say, as ValidatingAdmissionPolicies.

Kubernetes 1.30 is the first that serves them
(https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/). Handed out by
`controller.rights`, installed by `pullpass connect`; documented in docs/reference/rights.md.
"""

from __future__ import annotations

from kube.objects import ADMISSION_POLICY, ADMISSION_POLICY_BINDING, Object
from schemas.agent_documents import AGENT_ACCOUNT, CREDENTIALS_NAME, NAMESPACE_NAME, WEBHOOK_SECRET_NAME

SECRETS_POLICY = "pullpass-agent-secrets"
SERVICE_ACCOUNTS_POLICY = "pullpass-agent-service-accounts"
POLICIES = (SECRETS_POLICY, SERVICE_ACCOUNTS_POLICY)

_MANAGED_BY = "app.kubernetes.io/managed-by"
_REFERENCE_MARK = "pullpass.dev/image-pull-secret"
_DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"
_DOCKER_CONFIG_KEY = ".dockerconfigjson"


def admission_policies(marks: dict[str, str]) -> list[Object]:
    """The policies and their bindings, labelled with `marks`."""
    secrets = _policy(
        SECRETS_POLICY,
        marks,
        resource="secrets",
        operations=["CREATE", "UPDATE", "DELETE"],
        variables={
            # The type belongs to it: a token of any account could be had from a secret of another one.
            "isOwn": f"request.namespace == '{NAMESPACE_NAME}' && (request.operation == 'DELETE' ?"
            f" request.name in ['{CREDENTIALS_NAME}', '{WEBHOOK_SECRET_NAME}'] :"
            f" (object.metadata.name == '{CREDENTIALS_NAME}' && object.type == 'Opaque')"
            f" || (object.metadata.name == '{WEBHOOK_SECRET_NAME}' && object.type == 'kubernetes.io/tls'))",
            "isOurs": f"request.operation != 'DELETE' && object.type == '{_DOCKER_CONFIG}' && {_is_ours('object')}",
            "wasOurs": f"request.operation != 'CREATE' && {_is_ours('oldObject')}",
            # A labelled secret of the users' own: its content changes, and nothing else does but annotations.
            "isFilled": f"request.operation == 'UPDATE' && object.type == '{_DOCKER_CONFIG}'"
            f" && {_same('labels', 'ownerReferences', 'finalizers', of='metadata')}"
            f" && {_equal_but('data', _DOCKER_CONFIG_KEY)}",
        },
        validations={
            "request.operation != 'CREATE' || variables.isOwn || variables.isOurs": (
                f"the Pullpass agent makes no secrets but its own, of type {_DOCKER_CONFIG}"
            ),
            "request.operation != 'UPDATE' || variables.isOwn || (variables.isOurs && variables.wasOurs)"
            " || variables.isFilled": (
                f"the Pullpass agent changes nothing of a secret that is not its own but {_DOCKER_CONFIG_KEY}"
            ),
            "request.operation != 'DELETE' || variables.isOwn || variables.wasOurs": (
                "the Pullpass agent deletes no secret that is not its own"
            ),
        },
    )
    accounts = _policy(
        SERVICE_ACCOUNTS_POLICY,
        marks,
        resource="serviceaccounts",
        operations=["UPDATE"],
        variables={},
        validations={
            f"{_same('labels', 'ownerReferences', 'finalizers', of='metadata')}"
            f" && {_same('secrets', 'automountServiceAccountToken')}"
            f" && {_equal_but('metadata.?annotations', _REFERENCE_MARK)}": (
                "the Pullpass agent changes nothing of a service account but imagePullSecrets and its own annotation"
            )
        },
    )
    return [secrets, accounts, *(_binding(name, marks) for name in POLICIES)]


def _is_ours(variable: str) -> str:
    return f"{variable}.metadata.?labels[?'{_MANAGED_BY}'].orValue('') == 'pullpass'"


def _same(*members: str, of: str = "") -> str:
    """Each member is the same before and after, or absent in both."""
    path = f".{of}" if of else ""
    return " && ".join(f"object{path}.?{name} == oldObject{path}.?{name}" for name in members)


def _equal_but(member: str, key: str) -> str:
    """The map `member` has the same keys and values before and after, `key` left out."""

    def entries(variable: str) -> str:
        dotted = member if "?" in member else f"?{member}"
        return f"{variable}.{dotted}.orValue({{}})"

    def within(one: str, other: str) -> str:
        return (
            f"{entries(one)}.all(k, k == '{key}' || {entries(other)}[?k] == optional.of({entries(one)}[k]))"
        )

    return f"{within('object', 'oldObject')} && {within('oldObject', 'object')}"


def _policy(
    name: str,
    marks: dict[str, str],
    *,
    resource: str,
    operations: list[str],
    variables: dict[str, str],
    validations: dict[str, str],
) -> Object:
    return {
        "apiVersion": ADMISSION_POLICY.api_version,
        "kind": ADMISSION_POLICY.kind,
        "metadata": {"name": name, "labels": dict(marks)},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": operations,
                        "resources": [resource],
                    }
                ]
            },
            "matchConditions": [
                {
                    "name": "by-the-agent",
                    "expression": "request.userInfo.username == "
                    f"'system:serviceaccount:{NAMESPACE_NAME}:{AGENT_ACCOUNT}'",
                }
            ],
            **(
                {"variables": [{"name": key, "expression": text} for key, text in variables.items()]}
                if variables
                else {}
            ),
            "validations": [
                {"expression": text, "message": message} for text, message in validations.items()
            ],
        },
    }


def _binding(name: str, marks: dict[str, str]) -> Object:
    return {
        "apiVersion": ADMISSION_POLICY_BINDING.api_version,
        "kind": ADMISSION_POLICY_BINDING.kind,
        "metadata": {"name": name, "labels": dict(marks)},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
