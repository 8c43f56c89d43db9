"""Whether a new pod would pull where this one cannot. Pure.

A pod's pull secrets are fixed when it is made. So a new one helps if it would have something that this one had not: our
secret among its own, or our secret at all when the kubelet tries first. A pod that has all of it and is turned away is
turned away for another reason, and so will most likely a new one be. Called by `agent.pods.stuck`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from fnmatch import fnmatchcase

from agent.pods.waiting import StuckPod
from agent.secrets.pull_secret import DATA_KEY, EXPIRES_AT, TYPE
from kube.objects import Object
from schemas.agent_documents import labels
from schemas.times import parse_time

_OURS = ("app.kubernetes.io/managed-by", "pullpass.dev/cluster")


@dataclass(frozen=True)
class ReadySecret:
    """A pull secret of ours that opens registries now; `hosts` may be globs, one `*` per label."""

    name: str
    created_at: datetime
    hosts: frozenset[str]

    def opens(self, host: str) -> bool:
        """Whether it holds a credential for `host`."""
        return any(_matches(pattern, host) for pattern in self.hosts)


class Verdict(Enum):
    """What is to become of a stuck pod."""

    RETRY = auto()  # a new one would pull
    WAIT = auto()  # the secret, or the service account's reference, is not there yet
    TURNED_AWAY = auto()  # it has the secret
    OWN_SECRETS = auto()  # it names secrets of its own, so a new one would not get ours either


def ready_secret(secret: Object, cluster_uid: str, now: datetime) -> ReadySecret | None:
    """What a Secret opens; None when it is not ours or not good now. No credential is kept."""
    metadata = secret["metadata"]
    wanted, found = labels(cluster_uid, ""), metadata.get("labels") or {}
    if secret.get("type") != TYPE or any(found.get(name) != wanted[name] for name in _OURS):
        return None
    try:
        if parse_time((metadata.get("annotations") or {})[EXPIRES_AT]) <= now:
            return None
        hosts = json.loads(base64.b64decode(secret["data"][DATA_KEY]))["auths"].keys()
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return ReadySecret(metadata["name"], parse_time(metadata["creationTimestamp"]), frozenset(hosts))


def decide(
    pod: StuckPod,
    hosts: Collection[str],
    secrets: Iterable[ReadySecret],
    *,
    inherited: Collection[str],
    append: bool,
) -> Verdict:
    """What is to become of `pod`.

    Args:
        pod: The pod.
        hosts: Those that did not let it in.
        secrets: The good ones of its namespace.
        inherited: What its service account refers to now.
        append: Whether the webhook appends our secrets to every new pod.
    """
    needed = {}
    for host in hosts:
        opening = next((secret for secret in secrets if secret.opens(host)), None)
        if opening is None:
            return Verdict.WAIT
        needed[opening.name] = opening
    if needed.keys() <= set(pod.pull_secrets):
        late = any(pod.created_at <= secret.created_at for secret in needed.values())
        return Verdict.RETRY if late else Verdict.TURNED_AWAY
    if append:
        return Verdict.RETRY
    # What a service account refers to comes to a pod only where that names no secret itself.
    if not set(pod.pull_secrets) <= set(inherited):
        return Verdict.OWN_SECRETS
    return Verdict.RETRY if needed.keys() <= set(inherited) else Verdict.WAIT


def _matches(pattern: str, host: str) -> bool:
    parts, labels_of_host = pattern.split("."), host.split(".")
    return len(parts) == len(labels_of_host) and all(map(fnmatchcase, labels_of_host, parts))
