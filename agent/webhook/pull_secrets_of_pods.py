"""Appends our pull secrets to pods that name their own: the handler of `/pods` (`settings.awsECR.pullSecret.appendToPods`).

Such pods never inherit what their service account refers to. A pod that names none is left alone: the API server's
ServiceAccount plugin, which runs before webhooks, has given it the account's. Where that list lacks ours it looks like a
pod's own, and ours is appended, too, which is what the account would have given it a moment later. Pods without an image
of our registries are left alone as well. Composed in `agent.brain`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.secrets.add_on import claims_of
from agent.secrets.claims import Claim
from agent.secrets.registries import configured
from agent.secrets.selection import selects_namespace
from agent.webhook.review import Answer, Handler, Review
from aws.registry_hosts import PUBLIC, of_any_image
from kube.objects import Object
from schemas.agent_documents import AgentConfiguration

# A mirror pod stands for a file on a node, whose kubelet would make it anew for any difference.
_MIRROR = "kubernetes.io/config.mirror"


def handler(
    *,
    configuration: Callable[[], AgentConfiguration | None],
    carries: Callable[[str, Mapping[str, str]], bool],
) -> Handler:
    """The handler.

    Args:
        configuration: The newest; None before the first was read, when pods pass as they are.
        carries: Whether a namespace has labels (`agent.webhook.namespaces`).
    """

    def handle(review: Review) -> Answer:
        found, pod = configuration(), review.object
        if found is None or pod is None or review.operation != "CREATE" or not _appends(found):
            return Answer()
        named = (pod.get("spec") or {}).get("imagePullSecrets") or ()
        regions = _regions(pod)
        if not named or not regions or _MIRROR in ((pod.get("metadata") or {}).get("annotations") or {}):
            return Answer()
        return Answer(patch=_appended(named, _wanted(found, review.namespace, regions, carries)))

    return handle


def _appends(configuration: AgentConfiguration) -> bool:
    return (
        configuration.pull_secret.append_to_pods
        and not configuration.removing
        and configuration.pull_secrets != "never"
    )


def _regions(pod: Object) -> frozenset[str]:
    """Of the ECR registries of its images."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    found = (of_any_image(container.get("image") or "") for container in containers)
    return frozenset(registry.region for registry in found if registry is not None)


def _wanted(
    configuration: AgentConfiguration,
    namespace: str,
    regions: frozenset[str],
    carries: Callable[[str, Mapping[str, str]], bool],
) -> list[str]:
    """The names of our secrets that open one of `regions` in `namespace`.

    Its labels come last: they may take a question to the API server.
    """
    return [
        claim.secret_name
        for claim in claims_of(configuration, configured(configuration))
        if _opens(claim, regions)
        and selects_namespace(claim.selection, namespace, claim.selection.namespace_selector)
        and carries(namespace, claim.selection.namespace_selector)
    ]


def _opens(claim: Claim, regions: frozenset[str]) -> bool:
    """Registries that are not named are read off pods, and are private ones."""
    if claim.registries:
        return any(registry.region in regions for registry in claim.registries)
    return bool(regions - {PUBLIC})


def _appended(named: list[Object], wanted: list[str]) -> tuple[Object, ...]:
    present = {entry.get("name") for entry in named}
    return tuple(
        {"op": "add", "path": "/spec/imagePullSecrets/-", "value": {"name": name}}
        for name in dict.fromkeys(wanted)
        if name not in present
    )
