"""Which ECR registries the pull secret is for: those of the configuration, else those of the pods' images.

Pods are watched only where the configuration names no registry. Called by `agent.secrets.loop`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from aws.registry_hosts import RegistryHost, of_image, parse
from kube.objects import Object
from schemas.agent_documents import AgentConfiguration

# A pull secret holds two entries of about 5 KiB for each registry, and may be 1 MiB at most.
MOST_REGISTRIES = 50

Hosts = frozenset[str]


def configured(configuration: AgentConfiguration) -> tuple[RegistryHost, ...]:
    """The registries that the configuration names, in its order; that of the image to verify is one of them.

    A host that is no ECR registry is left out: the hub refuses it before it comes here.
    """
    found = [parse(host) for host in configuration.registries]
    return _each_once([*found, _of_verified_image(configuration)])


def seen(
    configuration: AgentConfiguration,
    pods: Iterable[tuple[str, Hosts]],
    *,
    selected: Callable[[str], bool],
    known: Iterable[RegistryHost],
    served_regions: Collection[str],
) -> tuple[RegistryHost, ...]:
    """The registries that the pods of selected namespaces use, in order of their names.

    Args:
        configuration: Its image to verify is on one of the registries.
        pods: Namespace and hosts of each pod that uses any.
        selected: Tells of a namespace whether it gets the secret.
        known: Seen before. One whose region has a credential stays, so that the secret of a job that runs once
            a day does not come and go.
        served_regions: Those that have a credential.
    """
    hosts = {host for namespace, found in pods if selected(namespace) for host in found}
    kept = {registry.host for registry in known if registry.region in served_regions}
    found = [parse(host) for host in sorted(hosts | kept)]
    return _each_once([_of_verified_image(configuration), *found])[:MOST_REGISTRIES]


def hosts_of_pod(pod: Object) -> Hosts | None:
    """The ECR hosts of a pod's images; None when there are none, so that nothing is kept of it."""
    spec: Mapping[str, Any] = pod.get("spec") or {}
    hosts = {
        registry.host
        for members in ("containers", "initContainers", "ephemeralContainers")
        for container in spec.get(members) or ()
        if (registry := of_image(container.get("image") or "")) is not None
    }
    return frozenset(hosts) or None


def _of_verified_image(configuration: AgentConfiguration) -> RegistryHost | None:
    return of_image(configuration.verify_image) if configuration.verify_image else None


def _each_once(found: Iterable[RegistryHost | None]) -> tuple[RegistryHost, ...]:
    return tuple({registry.host: registry for registry in found if registry is not None}.values())
