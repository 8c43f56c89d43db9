"""The custom resource ECRPullSecret of `pullpass.dev/v1`: the CustomResourceDefinition that `pullpass connect` installs.

Cluster-scoped, because it may read AWS keys in any namespace. The agent serves its objects (`agent.custom_resources`).
What a field's type cannot hold is a CEL rule whose message says what to do; bounds keep the rules within the API
server's cost limits, and only functions that Kubernetes 1.30 knows are used
(https://kubernetes.io/docs/reference/using-api/cel/). Handed out by `controller.rights`; documented in
docs/reference/ecrpullsecret.md.
"""

from __future__ import annotations

from typing import Any

from aws.arns import PARTITIONS
from kube.objects import CUSTOM_RESOURCE_DEFINITION, ECR_PULL_SECRET, Object

GROUP, _, VERSION = ECR_PULL_SECRET.api_version.partition("/")
NAME = f"{ECR_PULL_SECRET.plural}.{GROUP}"

_Schema = dict[str, Any]

_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = rf"^{_DNS_LABEL}(\.{_DNS_LABEL})*$"
_NAMESPACE_GLOB = r"^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$"
# Which suffix goes with which region is told by the agent (`aws.registry_hosts`).
_PRIVATE_REGISTRY = (
    r"[0-9]{12}\.dkr[.-]ecr(-fips)?\.[a-z0-9]+(-[a-z0-9]+)+\."
    r"(amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov"
    r"|on\.aws|on\.amazonwebservices\.com\.cn)"
)
_REGISTRY = rf"^({_PRIVATE_REGISTRY}|public\.ecr\.aws|ecr-public\.aws\.com)$"
_REGION = r"^[a-z0-9]+(-[a-z0-9]+)+$"
_ROLE_ARN = rf"^arn:({'|'.join(PARTITIONS)}):iam::[0-9]{{12}}:role/[!-~]+$"
_EXTERNAL_ID = r"^[A-Za-z0-9_+=,.@:/-]+$"
_DATA_KEY = r"^[-._a-zA-Z0-9]+$"
_LONGEST_ARN = 640
_NAMESPACE_ERRORS = 20


def definition() -> Object:
    """The CustomResourceDefinition."""
    return {
        "apiVersion": CUSTOM_RESOURCE_DEFINITION.api_version,
        "kind": CUSTOM_RESOURCE_DEFINITION.kind,
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/managed-by": "pullpass"}},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {
                "kind": ECR_PULL_SECRET.kind,
                "listKind": f"{ECR_PULL_SECRET.kind}List",
                "plural": ECR_PULL_SECRET.plural,
                "singular": ECR_PULL_SECRET.kind.lower(),
                # `ecrps` is the older operator's.
                "shortNames": ["eps"],
                "categories": ["pullpass"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _columns(),
                    "schema": {"openAPIV3Schema": _resource()},
                }
            ],
        },
    }


def _columns() -> list[Object]:
    ready = '.status.conditions[?(@.type=="Ready")]'
    return [
        {"name": "Secret", "type": "string", "jsonPath": ".spec.secretName"},
        {"name": "Namespaces", "type": "string", "jsonPath": ".status.namespaces.summary"},
        {"name": "Identity", "type": "string", "jsonPath": ".status.identity"},
        {"name": "Refreshed", "type": "date", "jsonPath": ".status.lastRefreshTime"},
        # A date in the future would be printed as `<invalid>`.
        {"name": "Expires", "type": "string", "jsonPath": ".status.expirationTime"},
        {"name": "Ready", "type": "string", "jsonPath": f"{ready}.status"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        {"name": "Suspended", "type": "boolean", "jsonPath": ".spec.suspend", "priority": 1},
        {"name": "Reason", "type": "string", "jsonPath": f"{ready}.reason", "priority": 1},
    ]


def _resource() -> _Schema:
    return {
        "type": "object",
        "description": "ECRPullSecret keeps an image pull secret for Amazon ECR fresh in every namespace it selects.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _spec(),
            "status": _status(),
        },
    }


def _spec() -> _Schema:
    return {
        "type": "object",
        "description": "What is wanted.",
        "required": ["secretName", "identity"],
        "properties": {
            "secretName": _text(
                "Name of the secret in each selected namespace, of type kubernetes.io/dockerconfigjson. A secret of "
                "this name that Pullpass did not make is never overwritten.",
                _DNS_SUBDOMAIN,
                "must be the name of a secret: lower-case letters, digits, '-' and '.', such as shop-ecr",
                longest=253,
            ),
            "registries": _texts(
                "Hosts of the ECR registries the secret opens. public.ecr.aws is ECR Public. Instead of accountId and "
                "region.",
                _REGISTRY,
                "must be the host of an ECR registry without scheme or path, such as "
                "123456789012.dkr.ecr.eu-central-1.amazonaws.com, or public.ecr.aws",
                longest=128,
                most=50,
            ),
            "accountId": _text(
                "AWS account of one private registry, 12 digits, in quotes. Together with region, instead of registries.",
                "^[0-9]{12}$",
                'must be the 12 digits of an AWS account, in quotes, such as "123456789012"',
                longest=32,
            ),
            "region": _text(
                "AWS region of one private registry. Together with accountId, instead of registries.",
                _REGION,
                "must be an AWS region, such as eu-central-1; for ECR Public give registries: [public.ecr.aws]",
                longest=32,
            ),
            "namespaces": _texts(
                "Names of namespaces; * stands for any part of a name. With namespaceSelector, both must hold. "
                "pullpass-system is never selected.",
                _NAMESPACE_GLOB,
                "must be the name of a namespace, where * stands for any part of it, such as shop or team-*",
                longest=63,
                most=500,
            ),
            "namespaceSelector": _namespace_selector(),
            "excludeNamespaces": _texts(
                "Names of namespaces that get no secret whatever selects them; * stands for any part of a name.",
                _NAMESPACE_GLOB,
                "must be the name of a namespace, where * stands for any part of it, such as kube-*",
                longest=63,
                most=500,
                least=0,
            ),
            "serviceAccounts": _service_accounts(),
            "identity": _identity(),
            "suspend": {
                "type": "boolean",
                "description": "While true, nothing is refreshed, written or taken back; what stands goes on until it "
                "expires.",
            },
        },
        "x-kubernetes-validations": [
            {
                "rule": "has(self.registries) != (has(self.accountId) || has(self.region))",
                "message": "say what to pull from: give either registries, or accountId together with region",
            },
            {
                "rule": "has(self.accountId) == has(self.region)",
                "message": "accountId and region name one registry together: give both",
            },
            {
                "rule": "has(self.namespaces) || has(self.namespaceSelector)",
                "message": "say where the secret is wanted: give namespaces, namespaceSelector or both; "
                "namespaces: ['*'] selects all",
            },
        ],
    }


def _namespace_selector() -> _Schema:
    return {
        "type": "object",
        "description": "Namespaces by their labels. With namespaces, both must hold.",
        "required": ["matchLabels"],
        "properties": {
            "matchLabels": {
                "type": "object",
                "description": "Labels, all of which a namespace must have.",
                "minProperties": 1,
                "maxProperties": 16,
                "additionalProperties": {"type": "string", "maxLength": 63},
            }
        },
    }


def _service_accounts() -> _Schema:
    schema = _texts(
        "Service accounts of the selected namespaces that get the secret in imagePullSecrets: names, or ['*'] for all "
        "of them (the default), or [] for none.",
        "^[*]$|" + _DNS_SUBDOMAIN,
        "must be the name of a service account, or * for all",
        longest=253,
        most=100,
        least=0,
    )
    return {
        **schema,
        "default": ["*"],
        "x-kubernetes-validations": [
            {
                "rule": "!('*' in self) || size(self) == 1",
                "message": "* stands for every service account: give it alone, or names alone",
            }
        ],
    }


def _identity() -> _Schema:
    return {
        "type": "object",
        "description": "Whose ECR credentials the secret holds: exactly one of webIdentity, secretKeys and "
        "instanceMetadata, and the roles assumed on top of it.",
        "properties": {
            "webIdentity": {
                "type": "object",
                "description": "A role assumed with the agent's own service account token; its trust policy is the "
                "one that the add-on awsECR shows.",
                "required": ["roleArn"],
                "properties": {"roleArn": _role_arn("ARN of the IAM role.")},
            },
            "secretKeys": _secret_keys(),
            "instanceMetadata": {
                "type": "object",
                "description": "The role of the machine that the agent runs on, from the EC2 instance metadata service.",
            },
            "assumeRoles": {
                "type": "array",
                "description": "Roles assumed one after the other, with the credentials before it; the last one's are "
                "used.",
                "x-kubernetes-list-type": "atomic",
                "maxItems": 5,
                "items": {
                    "type": "object",
                    "required": ["roleArn"],
                    "properties": {
                        "roleArn": _role_arn("ARN of the IAM role."),
                        "externalId": {
                            **_text(
                                "External ID that the role's trust policy asks for.",
                                _EXTERNAL_ID,
                                "must be the external ID of the role's trust policy: letters, digits and _+=,.@:/-",
                                longest=1224,
                            ),
                            "minLength": 2,
                        },
                    },
                },
            },
        },
        "x-kubernetes-validations": [
            {
                "rule": "[has(self.webIdentity), has(self.secretKeys), has(self.instanceMetadata)]"
                ".exists_one(given, given)",
                "message": "say who asks AWS: give exactly one of webIdentity, secretKeys and instanceMetadata",
            }
        ],
    }


def _secret_keys() -> _Schema:
    return {
        "type": "object",
        "description": "An AWS key pair in a secret of any namespace. It is read for each refresh and kept nowhere; "
        "a change is used at once.",
        "required": ["namespace", "name"],
        "properties": {
            "namespace": _text(
                "Namespace of the secret.",
                f"^{_DNS_LABEL}$",
                "must be the name of a namespace",
                longest=63,
            ),
            "name": _text("Name of the secret.", _DNS_SUBDOMAIN, "must be the name of a secret", longest=253),
            "accessKeyIdKey": _data_key(
                "Key of the secret's data with the access key ID.", "AWS_ACCESS_KEY_ID"
            ),
            "secretAccessKeyKey": _data_key(
                "Key of the secret's data with the secret access key.", "AWS_SECRET_ACCESS_KEY"
            ),
            "sessionTokenKey": _data_key(
                "Key of the secret's data with the session token, used where it is there.",
                "AWS_SESSION_TOKEN",
            ),
        },
    }


def _status() -> _Schema:
    time = {"type": "string", "format": "date-time"}
    count = {"type": "integer", "format": "int32"}
    return {
        "type": "object",
        "description": "How it fares, written by the Pullpass agent.",
        "properties": {
            "observedGeneration": {
                "type": "integer",
                "format": "int64",
                "description": "The metadata.generation that the rest speaks of.",
            },
            "identity": {"type": "string", "description": "Whose credentials the secret holds, in words."},
            "lastRefreshTime": {**time, "description": "When AWS last gave a credential."},
            "expirationTime": {
                **time,
                "description": "Until when every registry can be pulled from if no refresh succeeds any more.",
            },
            "namespaces": {
                "type": "object",
                "description": "The selected namespaces.",
                "properties": {
                    "selected": {**count, "description": "How many are selected."},
                    "ready": {**count, "description": "How many have a good secret."},
                    "summary": {"type": "string", "description": "ready/selected, for kubectl get."},
                },
            },
            "namespaceErrors": {
                "type": "array",
                "description": f"Namespaces that do not have what they should, at most {_NAMESPACE_ERRORS} of them.",
                "x-kubernetes-list-type": "atomic",
                "maxItems": _NAMESPACE_ERRORS,
                "items": {
                    "type": "object",
                    "required": ["namespace", "code"],
                    "properties": {
                        "namespace": {"type": "string", "description": "Name of the namespace."},
                        "code": {"type": "string", "description": "Code of the issue."},
                        "message": {"type": "string", "description": "What is wrong."},
                    },
                },
            },
            "conditions": {
                "type": "array",
                "description": "Ready, CredentialsValid, NamespacesReady and Suspended.",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": _condition(time),
            },
        },
    }


def _condition(time: _Schema) -> _Schema:
    return {
        "type": "object",
        "required": ["type", "status", "reason", "message", "lastTransitionTime"],
        "properties": {
            "type": {"type": "string", "description": "Which condition."},
            "status": {
                "type": "string",
                "enum": ["True", "False", "Unknown"],
                "description": "Whether it holds.",
            },
            "reason": {
                "type": "string",
                "description": "Why, in one word; a failure's is the code of its issue.",
            },
            "message": {"type": "string", "description": "Why, in words."},
            "lastTransitionTime": {**time, "description": "Since when its status stands."},
            "observedGeneration": {
                "type": "integer",
                "format": "int64",
                "description": "The metadata.generation it speaks of.",
            },
        },
    }


def _role_arn(description: str) -> _Schema:
    return _text(
        description,
        _ROLE_ARN,
        "must be the ARN of an IAM role, such as arn:aws:iam::123456789012:role/pull",
        longest=_LONGEST_ARN,
    )


def _data_key(description: str, default: str) -> _Schema:
    return {
        **_text(
            description, _DATA_KEY, f"must be a key of the secret's data, such as {default}", longest=253
        ),
        "default": default,
    }


def _text(description: str, pattern: str, message: str, *, longest: int) -> _Schema:
    """A string that matches `pattern` (RE2); `pattern` itself as a field would give no message of ours."""
    return {
        "type": "string",
        "description": description,
        "maxLength": longest,
        "x-kubernetes-validations": [{"rule": f"self.matches(r'{pattern}')", "message": message}],
    }


def _texts(
    description: str, pattern: str, message: str, *, longest: int, most: int, least: int = 1
) -> _Schema:
    """A list of different strings that match `pattern`."""
    item = _text("", pattern, message, longest=longest)
    del item["description"]
    return {
        "type": "array",
        "description": description,
        "x-kubernetes-list-type": "set",
        "minItems": least,
        "maxItems": most,
        "items": item,
    }
