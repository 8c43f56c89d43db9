"""Secret `pullpass-credentials`: the credentials in use, so that neither restarts nor admission call AWS.

The leading agent writes it (`save`) and reads it once when it begins (`load`); both replicas watch it
(`StoredContent`) for the content of labelled secrets. Whoever may read secrets in our namespace may read it, as may
whoever reads the pull secrets. Called by `agent.secrets.loop` and composed in `agent.brain`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agent.informer import Follower, Informer, Scope
from agent.secrets.content import LabelledContent
from agent.secrets.pull_secret import ADD_ON
from aws.credentials import RegistryCredential
from kube.client import Client
from kube.errors import NotFound
from kube.objects import SECRET, Object
from reconcile.clock import Clock, Random
from schemas.agent_documents import CREDENTIALS_NAME, NAMESPACE_NAME, labels
from schemas.times import format_time, parse_time

__all__ = ["LabelledContent", "StoredContent", "StoredCredential", "delete", "load", "read_content", "save"]

CONTENT_KEY = "add-on"
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html: valid for 12 hours.
LONGEST_LIFE = timedelta(hours=12)
CLOCK_SKEW = timedelta(minutes=5)
_TYPE = "Opaque"


@dataclass(frozen=True)
class StoredCredential:
    """One credential as it is kept; `name` is `DIGEST.REGION` of its `CredentialKey`.

    `identity` names it in words, `role_arn` is "" where it is no role's. `refresh_at` was drawn when it was issued.
    """

    name: str
    identity: str
    role_arn: str
    credential: RegistryCredential
    refresh_at: datetime


class StoredContent(Follower[LabelledContent]):
    """The content for labelled secrets, as the leader last stored it. Safe for several threads.

    Args:
        client: The cluster.
        changed: Called when there is another one.
        clock: For the informer.
        random: For the informer.
    """

    def __init__(self, client: Client, *, changed: Callable[[], None], clock: Clock, random: Random) -> None:
        super().__init__(
            Informer(
                client,
                Scope(SECRET, NAMESPACE_NAME, f"metadata.name={CREDENTIALS_NAME}"),
                view=read_content,
                changed=lambda _, __: changed(),
                clock=clock,
                random=random,
            )
        )

    def current(self, now: datetime) -> LabelledContent | None:
        """What to fill with now; None when there is nothing, or nothing that is still good."""
        content = self._informer.get(NAMESPACE_NAME, CREDENTIALS_NAME)
        return content if content is not None and now < content.expires_at else None


def load(client: Client, now: datetime) -> tuple[Mapping[str, StoredCredential], LabelledContent | None]:
    """What the last leader kept: credentials by name, and the content for labelled secrets; the good ones only.

    Raises:
        kube.errors.KubeError: the cluster's API failed.
    """
    try:
        found = client.get(SECRET, CREDENTIALS_NAME, namespace=NAMESPACE_NAME)
    except NotFound:
        return {}, None
    kept = {}
    for name, text in (found.get("data") or {}).items():
        stored = _read_credential(name, text, now) if name != CONTENT_KEY else None
        if stored is not None:
            kept[name] = stored
    content = read_content(found)
    return kept, content if content is not None and now < content.expires_at else None


def save(
    client: Client, cluster_uid: str, kept: Iterable[StoredCredential], content: LabelledContent | None
) -> None:
    """Writes all that is to be kept, and nothing else.

    Raises:
        kube.errors.KubeError: the cluster's API failed.
    """
    data = {stored.name: _encoded(_as_members(stored)) for stored in kept}
    if content is not None:
        data[CONTENT_KEY] = _encoded(
            {
                "dockerConfig": base64.b64encode(content.data).decode(),
                "issuedAt": format_time(content.issued_at),
                "expiresAt": format_time(content.expires_at),
                "roleArn": content.role_arn,
            }
        )
    client.apply(
        {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {
                "name": CREDENTIALS_NAME,
                "namespace": NAMESPACE_NAME,
                "labels": dict(labels(cluster_uid, ADD_ON)),
            },
            "type": _TYPE,
            "data": data,
        }
    )


def delete(client: Client) -> None:
    """Keeps nothing any more.

    Raises:
        kube.errors.KubeError: the cluster's API failed.
    """
    client.delete(SECRET, CREDENTIALS_NAME, namespace=NAMESPACE_NAME)


def read_content(obj: Object) -> LabelledContent | None:
    """The content for labelled secrets in the Secret; None where there is none that can be read."""
    try:
        members = _decoded((obj.get("data") or {})[CONTENT_KEY])
        return LabelledContent(
            base64.b64decode(members["dockerConfig"], validate=True),
            parse_time(members["issuedAt"]),
            parse_time(members["expiresAt"]),
            str(members["roleArn"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _as_members(stored: StoredCredential) -> Mapping[str, Any]:
    credential = stored.credential
    return {
        "identity": stored.identity,
        "roleArn": stored.role_arn,
        "region": credential.region,
        "username": credential.username,
        "password": credential.password,
        "issuedAt": format_time(credential.issued_at),
        "expiresAt": format_time(credential.expires_at),
        "refreshAt": format_time(stored.refresh_at),
    }


def _read_credential(name: str, text: str, now: datetime) -> StoredCredential | None:
    """None for what is expired, cannot be read, or claims a life that ECR does not give."""
    try:
        members = _decoded(text)
        credential = RegistryCredential(
            region=str(members["region"]),
            username=str(members["username"]),
            password=str(members["password"]),
            issued_at=parse_time(members["issuedAt"]),
            expires_at=parse_time(members["expiresAt"]),
        )
        stored = StoredCredential(
            name,
            str(members["identity"]),
            str(members["roleArn"]),
            credential,
            parse_time(members["refreshAt"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
    # Issued by our clock, expiring by AWS's.
    longest = LONGEST_LIFE + CLOCK_SKEW
    believable = (
        credential.issued_at <= now + CLOCK_SKEW and credential.expires_at <= credential.issued_at + longest
    )
    return stored if believable and now < credential.expires_at else None


def _encoded(members: Mapping[str, Any]) -> str:
    return base64.b64encode(json.dumps(members, sort_keys=True).encode()).decode()


def _decoded(text: str) -> Mapping[str, Any]:
    try:
        members = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("no JSON in base64") from error
    if not isinstance(members, dict):
        raise TypeError("no JSON object")
    return members
