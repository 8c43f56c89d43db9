"""What a labelled secret should hold, whatever it held before. Pure.

Only `.dockerconfigjson` and a few annotations are ours; everything else in it is its owner's. Called by
`agent.webhook.labelled_secrets` at admission and by `agent.labelled.duty` afterwards.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.secrets.content import LabelledContent
from agent.secrets.pull_secret import DATA_KEY, EXPIRES_AT, ISSUED_AT, ROLE_ARN, TYPE
from kube.objects import Object
from schemas.times import format_time, parse_time

__all__ = ["DATA_KEY", "EXPIRES_AT", "TYPE"]

# Written by ECR Anywhere, and read by its users' dashboards and by its CronJob, which leaves alone what lives for six
# more hours: kept true where they stand, never added.
ECR_ANYWHERE_EXPIRES_AT = "ecr-anywhere.centml.ai/expires_at"
ECR_ANYWHERE_UPDATED_AT = "ecr-anywhere.centml.ai/updated_at"
_ANNOTATIONS = (ISSUED_AT, EXPIRES_AT, ROLE_ARN, ECR_ANYWHERE_EXPIRES_AT, ECR_ANYWHERE_UPDATED_AT)
_MANAGED_BY = "app.kubernetes.io/managed-by"
# The least that the API server takes for a secret of this type.
EMPTY = base64.b64encode(b'{"auths":{}}').decode()


@dataclass(frozen=True)
class LabelledView:
    """A labelled secret as far as it matters here, without what it holds: `digest` stands for that.

    `annotations` are those that we write. `ours` tells that it is a pull secret of Pullpass itself, which somebody
    labelled; the agent's loop keeps those.
    """

    uid: str
    resource_version: str
    type: str
    immutable: bool
    ending: bool
    ours: bool
    digest: str
    annotations: Mapping[str, str]

    @property
    def filled(self) -> bool:
        """Whether Pullpass once filled it."""
        return EXPIRES_AT in self.annotations

    @property
    def expires_at(self) -> datetime | None:
        """Until when what Pullpass filled it with is good; None where it did not."""
        try:
            return parse_time(self.annotations[EXPIRES_AT])
        except (KeyError, ValueError):
            return None

    def good(self, now: datetime) -> bool:
        """Whether what Pullpass filled it with has not expired."""
        return self.expires_at is not None and now < self.expires_at

    def holds(self, content: LabelledContent) -> bool:
        """Whether nothing is to be done."""
        return self.digest == _digest(encoded(content)) and not changed_annotations(self.annotations, content)


def view(obj: Object) -> LabelledView:
    """The view of a Secret object."""
    metadata = obj["metadata"]
    present = metadata.get("annotations") or {}
    return LabelledView(
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        type=obj.get("type", ""),
        immutable=obj.get("immutable") is True,
        ending="deletionTimestamp" in metadata,
        ours=(metadata.get("labels") or {}).get(_MANAGED_BY) == "pullpass",
        digest=_digest((obj.get("data") or {}).get(DATA_KEY, "")),
        annotations={key: present[key] for key in _ANNOTATIONS if key in present},
    )


def encoded(content: LabelledContent) -> str:
    """As it stands in `data`."""
    return base64.b64encode(content.data).decode()


def changed_annotations(present: Mapping[str, str], content: LabelledContent) -> dict[str, str | None]:
    """The annotations to set to what they should be, None to take one away; those that are right are left out."""
    issued_at, expires_at = format_time(content.issued_at), format_time(content.expires_at)
    wanted: dict[str, str | None] = {
        ISSUED_AT: issued_at,
        EXPIRES_AT: expires_at,
        ROLE_ARN: content.role_arn or None,
    }
    if ECR_ANYWHERE_EXPIRES_AT in present:
        wanted[ECR_ANYWHERE_EXPIRES_AT] = expires_at
    if ECR_ANYWHERE_UPDATED_AT in present:
        wanted[ECR_ANYWHERE_UPDATED_AT] = issued_at
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def patch_to_fill(found: LabelledView, content: LabelledContent) -> Object:
    """The merge patch (RFC 7396) that fills it, with its resource version as a lock."""
    return {
        "metadata": {
            "resourceVersion": found.resource_version,
            "annotations": changed_annotations(found.annotations, content),
        },
        "data": {DATA_KEY: encoded(content)},
    }


def still_good(obj: Object, now: datetime) -> bool:
    """Whether Pullpass filled this Secret with what has not expired."""
    return view(obj).good(now) and is_valid(obj)


def is_valid(obj: Object) -> bool:
    """Whether the API server would take what it holds: JSON under `.dockerconfigjson`."""
    try:
        json.loads(base64.b64decode((obj.get("data") or {})[DATA_KEY], validate=True))
    except (KeyError, TypeError, ValueError, RecursionError, binascii.Error):
        return False
    return True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
