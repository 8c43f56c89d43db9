"""The members of `spec.addOns.awsECR` and `settings.awsECR`, as tables of fields. Read by `schemas.addons.aws_ecr`."""

from __future__ import annotations

import re

from schemas.addons.schema import ROLE_ARN, ROLE_ARN_EXPECTED
from schemas.fields import Choice, Flag, Integer, Label, ListOf, Object, Text, TextMap, TextOrTexts
from schemas.structure import strict

PUBLIC_REGISTRY = "public.ecr.aws"

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
_ANY_REGISTRY = re.compile(rf"{_REGISTRY.pattern}|{re.escape(PUBLIC_REGISTRY)}", re.ASCII)
_REGISTRY_EXPECTED = (
    "the host of a private ECR registry, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com,"
    f" or {PUBLIC_REGISTRY}"
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
_OBJECT = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_DATA_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}", re.ASCII)
_SECRET = Text("the name of a secret", pattern=_OBJECT)

ADOPTABLE = ("ecrpullsecrets.alchemy.com",)

_REGISTRIES = ListOf(Text(_REGISTRY_EXPECTED, pattern=_ANY_REGISTRY))
_LABELLED = strict(
    "LabelledSecrets",
    {
        "namespaceLabel": Label('one label of namespaces, such as {"pullpass.dev/pull-secrets": "enabled"}'),
        "secretLabel": Label('one label of secrets, such as {"pullpass.dev/managed": "true"}'),
        "failurePolicy": Choice("Ignore", "Fail"),
    },
)
_KEYS = strict(
    "AdoptedKeys",
    {
        "namespace": Text("the namespace of the secret with the AWS keys", required=True, pattern=_NAMESPACE),
        "name": Text("the name of the secret with the AWS keys", required=True, pattern=_OBJECT),
        "accessKeyId": Text("a key of the secret's data", pattern=_DATA_KEY),
        "secretAccessKey": Text("a key of the secret's data", pattern=_DATA_KEY),
    },
)
_ADOPTED = strict(
    "AdoptedResources",
    {
        "resource": Choice(*ADOPTABLE, required=True),
        "registries": _REGISTRIES,
        "keys": Object(_KEYS),
    },
)
SPEC = {"roleArn": Text(ROLE_ARN_EXPECTED, pattern=ROLE_ARN)}
SETTINGS = {
    "delivery": Choice("auto", "node", "pullSecret"),
    "identity": Choice("shared", "serviceAccount"),
    "serviceAccounts": ListOf(
        Text("a service account with its namespace, such as shop/web", pattern=_WORKLOAD)
    ),
    "registries": _REGISTRIES,
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
                "name": _SECRET,
                "publicName": _SECRET,
                "appendToPods": Flag(),
                "retryPods": Flag(),
                "labelled": Object(_LABELLED),
                "customResources": Flag(),
                "adopt": ListOf(Object(_ADOPTED)),
            },
        )
    ),
}
