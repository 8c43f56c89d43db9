"""A pull secret: what it should be, and whose the one is that stands there. Pure.

Annotations say for which claim it was made, when the credential was issued, when it expires and for which role it is;
never a secret. Called by `agent.secrets.filling`, `agent.secrets.watching` and `agent.secrets.telling`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.secrets.claims import ClaimKey, ClaimSource
from agent.secrets.content import LabelledContent
from kube.objects import SECRET, Object
from schemas.agent_documents import labels
from schemas.times import format_time, parse_time

ADD_ON = "awsECR"
TYPE = "kubernetes.io/dockerconfigjson"
DATA_KEY = ".dockerconfigjson"
CLAIM = "pullpass.dev/claim"
ISSUED_AT = "pullpass.dev/issued-at"
EXPIRES_AT = "pullpass.dev/expires-at"
ROLE_ARN = "pullpass.dev/role-arn"

MANAGED_BY_US = "app.kubernetes.io/managed-by=pullpass"
_MANAGED_BY = "app.kubernetes.io/managed-by"
_CLUSTER = "pullpass.dev/cluster"
_WORDS = {
    ClaimSource.ADD_ON: "add-on",
    ClaimSource.PUBLIC: "public",
    ClaimSource.CUSTOM: "custom",
    ClaimSource.ADOPTED: "adopted",
}
_SOURCES = {word: source for source, word in _WORDS.items()}


@dataclass(frozen=True)
class SecretView:
    """A secret as far as it matters here, without what it holds: `digest` stands for that.

    `labels` and `annotations` are those of ours only (`pullpass.dev/…`, `app.kubernetes.io/managed-by`).
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    type: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    digest: str


def view(obj: Object) -> SecretView:
    """The view of a Secret object."""
    metadata = obj["metadata"]
    return SecretView(
        namespace=metadata["namespace"],
        name=metadata["name"],
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
    return found.type == TYPE and _are_ours(found.labels, cluster_uid)


def why_not_ours(found: SecretView, cluster_uid: str) -> str:
    """What to tell the user of a secret for which `is_ours` is false."""
    where = f"secret {found.name} in namespace {found.namespace}"
    if _are_ours(found.labels, cluster_uid):
        return f"{where} has type {found.type}, not {TYPE}; delete it and it is made anew"
    if found.labels.get(_MANAGED_BY) == "pullpass" and _CLUSTER in found.labels:
        return f"{where} carries the labels of another cluster; delete it and it is made anew"
    return f"{where} was not made by Pullpass; delete or rename it"


def standing_of(obj: Object) -> LabelledContent | None:
    """What a secret of ours holds now; None where that cannot be read.

    Whoever may write secrets in that namespace may have written it: it goes back to the same secret, never elsewhere.
    """
    annotations = obj["metadata"].get("annotations") or {}
    try:
        return LabelledContent(
            base64.b64decode(obj["data"][DATA_KEY], validate=True),
            parse_time(annotations[ISSUED_AT]),
            parse_time(annotations[EXPIRES_AT]),
            annotations.get(ROLE_ARN, ""),
        )
    except (KeyError, TypeError, ValueError):
        return None


def expires_at(found: SecretView) -> datetime | None:
    """Until when what it holds is good, as its annotation says; None where there is none."""
    try:
        return parse_time(found.annotations[EXPIRES_AT])
    except (KeyError, ValueError):
        return None


def desired(
    *, namespace: str, name: str, claim: ClaimKey, cluster_uid: str, content: LabelledContent
) -> Object:
    """The secret that `namespace` should have for `claim`."""
    annotations = {
        CLAIM: word_of(claim),
        ISSUED_AT: format_time(content.issued_at),
        EXPIRES_AT: format_time(content.expires_at),
    }
    if content.role_arn:
        annotations[ROLE_ARN] = content.role_arn
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(labels(cluster_uid, ADD_ON)),
            "annotations": annotations,
        },
        "type": TYPE,
        "data": {DATA_KEY: base64.b64encode(content.data).decode()},
    }


def differs(found: SecretView, wanted: Object) -> bool:
    """Whether `found` is not what `wanted` says. Only `TYPE` and other people's labels are not compared."""
    metadata = wanted["metadata"]
    return (
        found.digest != _digest(wanted["data"])
        or dict(found.labels) != metadata["labels"]
        or dict(found.annotations) != metadata["annotations"]
    )


def word_of(claim: ClaimKey) -> str:
    """A claim in an annotation, and in the report: `add-on`, `public`, `custom/NAME` or `adopted/NAME`."""
    word = _WORDS[claim.source]
    return f"{word}/{claim.name}" if claim.name else word


def claim_of(found: SecretView) -> ClaimKey:
    """The claim that a secret of ours was made for; the add-on's where an older agent did not say."""
    word, _, name = found.annotations.get(CLAIM, "").partition("/")
    return ClaimKey(_SOURCES.get(word, ClaimSource.ADD_ON), name)


def carries_our_labels(obj: Object, cluster_uid: str) -> bool:
    """Whether an object, of which perhaps only the metadata is known, carries this cluster's labels."""
    return _are_ours(obj["metadata"].get("labels") or {}, cluster_uid)


def _are_ours(found: Mapping[str, str], cluster_uid: str) -> bool:
    expected = labels(cluster_uid, ADD_ON)
    return all(found.get(name) == expected[name] for name in (_MANAGED_BY, _CLUSTER))


def _ours(members: Mapping[str, str] | None) -> dict[str, str]:
    return {
        key: value
        for key, value in (members or {}).items()
        if key.startswith("pullpass.dev/") or key == _MANAGED_BY
    }


def _digest(data: Mapping[str, str]) -> str:
    """Of what a secret holds: equal data, equal digest; nothing can be read back from it."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
