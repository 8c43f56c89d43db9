"""Which pods wait because a registry did not let them in. Pure.

What a kubelet says of a failed pull is free text of the container runtime's and the registry's. Called by
`agent.pods.stuck`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aws.registry_hosts import of_any_image
from kube.objects import Object
from schemas.times import parse_time

_FAILED, _BACKING_OFF = "ErrImagePull", "ImagePullBackOff"
# A kubelet's own pods, of files on its node: no service account, and nothing to be retried through the API.
_MIRROR = "kubernetes.io/config.mirror"

_URL = re.compile(r"https?://[^\s\"]+")
# Older kubelets say no more than this while they wait, and the reason only between two waits.
_WITHOUT_A_REASON = re.compile(r'Back-off pulling image\s*"?"?')
_NOT_LET_IN = re.compile(
    r"no basic auth credentials"
    r"|\b401\b|\b403\b"
    r"|\bunauthori[sz]ed\b|\bforbidden\b|\bdenied\b|\bunauthenticated\b|\bnot authori[sz]ed\b"
    r"|authentication required|authori[sz]ation failed|failed to authori[sz]e"
    r"|authori[sz]ation token|may require (?:authori[sz]ation|'docker login')",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Owner:
    """The controller of a pod."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True)
class StuckPod:
    """A pod as far as it matters here.

    `refused` are the ECR hosts that did not let it in, by the kubelet's word of now; `silent` those of which the kubelet
    only says that it waits.
    """

    uid: str
    resource_version: str
    created_at: datetime
    account: str
    pull_secrets: tuple[str, ...]
    owner: Owner | None
    refused: frozenset[str]
    silent: frozenset[str] = frozenset()


def view(pod: Object) -> StuckPod | None:
    """The view of a pod; None for one that pulls, runs, goes, or waits for something else."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    if metadata.get("deletionTimestamp") or _MIRROR in (metadata.get("annotations") or {}):
        return None
    refused, silent = set(), set()
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason, message = waiting.get("reason"), waiting.get("message") or ""
        if reason not in (_FAILED, _BACKING_OFF):
            continue
        image = _image(spec, container)
        registry = of_any_image(image)
        if registry is None:
            continue
        if is_refusal(message, image):
            refused.add(registry.host)
        elif reason == _BACKING_OFF and _is_without_a_reason(message, image):
            silent.add(registry.host)
    if not refused and not silent:
        return None
    return StuckPod(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        created_at=parse_time(metadata["creationTimestamp"]),
        account=spec.get("serviceAccountName") or "default",
        pull_secrets=tuple(each.get("name", "") for each in spec.get("imagePullSecrets") or ()),
        owner=_owner(metadata.get("ownerReferences") or ()),
        refused=frozenset(refused),
        silent=frozenset(silent),
    )


def is_refusal(message: str, image: str) -> bool:
    """Whether the kubelet's words on a pull of `image` are about who asks, not about what is asked for."""
    return _NOT_LET_IN.search(_stripped(message, image)) is not None


def _is_without_a_reason(message: str, image: str) -> bool:
    return not message or _WITHOUT_A_REASON.fullmatch(_stripped(message, image).strip()) is not None


def _stripped(message: str, image: str) -> str:
    """Without the names in it: an image may be called anything."""
    repository = image.partition("/")[2].partition("@")[0].partition(":")[0]
    without = _URL.sub("", message.replace(image, ""))
    return re.sub(rf"(?<![\w/.-]){re.escape(repository)}(?![\w/.-])", "", without)


def _image(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """As the pod names it: a status may name it another way."""
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        if container.get("name") == status.get("name"):
            return str(container.get("image") or "")
    return str(status.get("image") or "")


def _owner(references: Iterable[Mapping[str, Any]]) -> Owner | None:
    for reference in references:
        if reference.get("controller"):
            return Owner(reference["apiVersion"], reference["kind"], reference["name"], reference["uid"])
    return None
