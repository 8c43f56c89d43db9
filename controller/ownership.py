"""The ownership object: one cluster belongs to one hub, and to one cluster of that hub.

ConfigMap `pullpass-owner` holds the ids of both. A second hub finds it and keeps its hands off. It is made by POST, so
that of two hubs that come at once only one wins, and it is the last thing to go. Called by `controller.cluster`.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.outcomes import Obstacle
from controller.rights import MANAGED_BY
from kube.client import Client
from kube.errors import Conflict, NotFound
from kube.objects import CONFIG_MAP, Object, ObjectKey
from schemas.agent_documents import NAMESPACE_NAME

OWNER_NAME = "pullpass-owner"
OWNER_KEY = ObjectKey(CONFIG_MAP.api_version, CONFIG_MAP.kind, NAMESPACE_NAME, OWNER_NAME)
CLUSTER_LABEL = "pullpass.dev/cluster"


def claim(client: Client, *, hub: str, uid: str, is_known: Callable[[str], bool]) -> str:
    """Makes the cluster ours, or finds that it is.

    Args:
        client: The cluster.
        hub: This hub's id.
        uid: Of the cluster in this hub.
        is_known: Whether this hub still has a cluster of that uid: what a forgotten one left is taken over.

    Returns:
        The resource version of the ownership object: while it stands, nobody has touched it.

    Raises:
        Obstacle: AlreadyManaged.
        kube.errors.KubeError: as the requests do.
    """
    owner = _owner(hub, uid)
    try:
        found = client.get(CONFIG_MAP, OWNER_NAME, namespace=NAMESPACE_NAME)
    except NotFound:
        try:
            return _version(client.create(owner))
        except Conflict:
            found = client.get(CONFIG_MAP, OWNER_NAME, namespace=NAMESPACE_NAME)
    data = found.get("data") or {}
    if data.get("hub") != hub:
        hub_there = str(data.get("hub") or "")
        raise Obstacle(
            "AlreadyManaged", f"{NAMESPACE_NAME}/{OWNER_NAME} names hub {hub_there}", OTHER_HUB=hub_there
        )
    other = data.get("cluster")
    if other != uid and isinstance(other, str) and is_known(other):
        raise Obstacle(
            "AlreadyManaged",
            f"this hub manages the same cluster under another name (uid {other})",
            OTHER_HUB=f"this one, where it has the uid {other}",
        )
    labels = found["metadata"].get("labels") or {}
    if other != uid or labels.get(CLUSTER_LABEL) != uid:
        found = client.apply(owner)
    return _version(found)


def _version(obj: Object) -> str:
    return str(obj["metadata"]["resourceVersion"])


def _owner(hub: str, uid: str) -> Object:
    return {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": {
            "name": OWNER_NAME,
            "namespace": NAMESPACE_NAME,
            "labels": {MANAGED_BY: "pullpass", CLUSTER_LABEL: uid},
        },
        "data": {"hub": hub, "cluster": uid},
    }
