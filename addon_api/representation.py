"""A cluster as the wire contract shows it: what the user sent, exactly, and what is known of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from addon_api import answers, remains, trust_policies
from addon_api.trust_policies import Policies
from fleet import standing
from fleet.records import Cluster
from schemas import status
from schemas.status import Json, State
from schemas.times import format_time

KIND = "mk8s"
_ADD_ONS = ("awsWorkloadIdentity", "awsECR")


def of_cluster(cluster: Cluster, policies: Policies) -> Json:
    """The whole object. `description` is the name where the user gave none; `spec` is as sent, emptiness included."""
    shown = without_policies(cluster)
    add_ons: dict[str, Any] = shown["status"]["addOns"]
    if "awsECR" in add_ons:
        add_ons["awsECR"]["trustPolicy"] = policies.of_registry_role(cluster)
    if "awsWorkloadIdentity" in add_ons:
        add_ons["awsWorkloadIdentity"]["trustPolicy"] = trust_policies.of_workloads(cluster)
    return shown


def without_policies(cluster: Cluster) -> Json:
    """The object as far as it is known without a look at other clusters: what queries look at."""
    manifest = cluster.manifest
    description = manifest.get("description")
    path = answers.cluster_path(cluster.key.org, cluster.key.name)
    return {
        "kind": KIND,
        "id": cluster.uid,
        "name": cluster.key.name,
        "description": cluster.key.name if description is None else description,
        "tags": manifest.get("tags") or {},
        "spec": manifest["spec"],
        "settings": cluster.settings,
        "version": cluster.version,
        "alias": alias_of(cluster),
        "created": format_time(cluster.created),
        "lastModified": format_time(cluster.last_modified),
        "links": [
            {"rel": "self", "href": path},
            {"rel": "eventlog", "href": f"{path}/-eventlog"},
            {"rel": "accessreport", "href": f"{path}/-accessreport"},
        ],
        "status": _status(cluster),
    }


def alias_of(cluster: Cluster) -> str:
    """A short name that no other cluster has, for ever: the head of the uid."""
    return cluster.uid[:12]


def _status(cluster: Cluster) -> Json:
    shown = status.to_json(cluster.status)
    location = _location(cluster)
    if location is not None:
        shown["homeLocation"] = location
    shown["generation"] = cluster.generation
    shown["connected"] = cluster.connected
    shown["standing"] = str(standing.of_cluster(cluster))
    shown["lastSeen"] = _time(cluster.last_seen)
    shown["credentialsExpireAt"] = _time(standing.credentials_expire_at(cluster.status))
    if cluster.removal is not None:
        shown["removal"] = {
            "requestedAt": format_time(cluster.removal.requested_at),
            "requestedBy": cluster.removal.requested_by,
            "remains": remains.after_removal(),
        }
    add_ons: dict[str, Any] = shown["addOns"]
    for key in _ADD_ONS:
        if key not in add_ons and trust_policies.enabled_add_on(cluster, key) is not None:
            add_ons[key] = {"state": str(State.INSTALLING), "conditions": [], "issues": []}
    if "awsWorkloadIdentity" in add_ons:
        _add_provider(add_ons["awsWorkloadIdentity"], cluster)
    return shown


def _location(cluster: Cluster) -> str | None:
    """Where the manifest says that the cluster is: the provider's `location`, else its `region`."""
    for provider in cluster.manifest["spec"]["provider"].values():
        found = provider.get("location") or provider.get("region") if provider else None
        if isinstance(found, str):
            return found
    return None


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def _add_provider(add_on: Json, cluster: Cluster) -> None:
    issuer = trust_policies.issuer_of(cluster)
    if issuer is not None:
        add_on["oidcProviderConfig"] = {
            "providerUrl": issuer,
            "audience": trust_policies.audience_of(cluster),
        }
