"""The pull secret: what it should be, whose the one is that stands there, and what can be recovered from it. Pure.

Annotations carry when the credential was issued, when it expires and for which role it is, so that a new agent
finds all of it again; never a secret. Called by `agent.secrets.filling` and, at start, by `agent.secrets.loop`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from aws import registry_hosts
from aws.credentials import RegistryCredential
from aws.docker_config import docker_config
from aws.registry_hosts import RegistryHost
from kube.objects import SECRET, Object
from schemas.agent_documents import SECRET_NAME, labels
from schemas.times import format_time, parse_time

ADD_ON = "awsECR"
TYPE = "kubernetes.io/dockerconfigjson"
DATA_KEY = ".dockerconfigjson"
ISSUED_AT = "pullpass.dev/issued-at"
EXPIRES_AT = "pullpass.dev/expires-at"
ROLE_ARN = "pullpass.dev/role-arn"

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html: valid for 12 hours.
LONGEST_LIFE = timedelta(hours=12)
_CLOCK_SKEW = timedelta(minutes=5)
_MANAGED_BY = "app.kubernetes.io/managed-by"
_CLUSTER = "pullpass.dev/cluster"


@dataclass(frozen=True)
class SecretView:
    """A secret by our name as far as it matters here, without what it holds: `digest` stands for that.

    `labels` and `annotations` are those of ours only (`pullpass.dev/…`, `app.kubernetes.io/managed-by`).
    """

    namespace: str
    uid: str
    resource_version: str
    type: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    digest: str


@dataclass(frozen=True)
class Recovered:
    """What an existing secret still offers: one credential per region, and the role they are for ("": several).

    `registries` are those that it names.
    """

    credentials: tuple[RegistryCredential, ...]
    registries: tuple[RegistryHost, ...]
    role_arn: str


def view(obj: Object) -> SecretView:
    """The view of a Secret object."""
    metadata = obj["metadata"]
    return SecretView(
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        type=obj.get("type", ""),
        labels=_ours(metadata.get("labels")),
        annotations=_ours(metadata.get("annotations")),
        digest=_digest(obj.get("data") or {}),
    )


def is_ours(found: SecretView, cluster_uid: str) -> bool:
    """Whether we may write or delete it: our labels, this cluster's, and a type that can hold what we write.

    The type of a secret cannot be changed, and deleting it to make it anew would leave a gap, so one of another
    type is left to whoever made it.
    """
    return found.type == TYPE and _carries_our_labels(found, cluster_uid)


def why_not_ours(found: SecretView, cluster_uid: str) -> str:
    """What to tell the user of a secret for which `is_ours` is false."""
    where = f"secret {SECRET_NAME} in namespace {found.namespace}"
    if _carries_our_labels(found, cluster_uid):
        return f"{where} has type {found.type}, not {TYPE}; delete it and it is made anew"
    if found.labels.get(_MANAGED_BY) == "pullpass" and _CLUSTER in found.labels:
        return f"{where} carries the labels of another cluster; delete it and it is made anew"
    return f"{where} was not made by Pullpass; delete or rename it"


def hosts_of(registries: Iterable[RegistryHost], regions: Iterable[str]) -> Mapping[str, str]:
    """Every `auths` entry that is wanted: host or glob, to the region whose credential opens it."""
    wanted = set(regions)
    entries = {}
    for registry in registries:
        if registry.region in wanted:
            entries[registry.host] = registry.region
            entries[registry.wildcard] = registry.region
    return entries


def desired(
    *,
    namespace: str,
    cluster_uid: str,
    registries: Iterable[RegistryHost],
    credentials: Mapping[str, RegistryCredential],
    role_arn: str,
) -> Object:
    """The secret that `namespace` should have.

    Args:
        namespace: Where it goes.
        cluster_uid: Of this cluster, for the labels.
        registries: All that are wanted; those of a region without a credential are left out.
        credentials: By region; those that are good now.
        role_arn: The role that all of them are for, "" when not all are for the same.

    Raises:
        ValueError: no registry has a credential: an empty secret must never replace a good one.
    """
    entries = hosts_of(registries, credentials)
    used = [credentials[region] for region in set(entries.values())]
    content = docker_config({host: credentials[region] for host, region in entries.items()})
    annotations = {
        ISSUED_AT: format_time(min(credential.issued_at for credential in used)),
        EXPIRES_AT: format_time(min(credential.expires_at for credential in used)),
    }
    if role_arn:
        annotations[ROLE_ARN] = role_arn
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            "name": SECRET_NAME,
            "namespace": namespace,
            "labels": dict(labels(cluster_uid, ADD_ON)),
            "annotations": annotations,
        },
        "type": TYPE,
        "data": {DATA_KEY: base64.b64encode(content).decode()},
    }


def differs(found: SecretView, wanted: Object) -> bool:
    """Whether `found` is not what `wanted` says. Only `TYPE` and other people's labels are not compared."""
    metadata = wanted["metadata"]
    return (
        found.digest != _digest(wanted["data"])
        or dict(found.labels) != metadata["labels"]
        or dict(found.annotations) != metadata["annotations"]
    )


def recover(obj: Object, now: datetime) -> Recovered | None:
    """The credentials in a secret of ours, or None when nothing in it is good any more.

    What it says is believed only within ECR's limits: whoever may write secrets in that namespace may have
    written it. Several regions share the earliest times.
    """
    annotations = obj["metadata"].get("annotations") or {}
    credentials: dict[str, RegistryCredential] = {}
    hosts = []
    try:
        issued_at = parse_time(annotations[ISSUED_AT])
        expires_at = parse_time(annotations[EXPIRES_AT])
        auths = json.loads(base64.b64decode(obj["data"][DATA_KEY], validate=True))["auths"]
        for host, entry in auths.items():
            registry = registry_hosts.parse(host)
            if registry is None:
                continue
            hosts.append(registry)
            username, password = entry["username"], entry["password"]
            if not isinstance(username, str) or not isinstance(password, str):
                return None
            credentials[registry.region] = RegistryCredential(
                registry.region, username, password, issued_at, expires_at
            )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    # Issued by our clock, expiring by AWS's.
    longest = LONGEST_LIFE + _CLOCK_SKEW
    if issued_at > now + _CLOCK_SKEW or not now < expires_at <= issued_at + longest or not hosts:
        return None
    return Recovered(tuple(credentials.values()), tuple(hosts), annotations.get(ROLE_ARN, ""))


def _carries_our_labels(found: SecretView, cluster_uid: str) -> bool:
    expected = labels(cluster_uid, ADD_ON)
    return all(found.labels.get(name) == expected[name] for name in (_MANAGED_BY, _CLUSTER))


def _ours(members: Mapping[str, str] | None) -> dict[str, str]:
    return {
        key: value
        for key, value in (members or {}).items()
        if key.startswith("pullpass.dev/") or key == _MANAGED_BY
    }


def _digest(data: Mapping[str, str]) -> str:
    """Of what a secret holds: equal data, equal digest; nothing can be read back from it."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
