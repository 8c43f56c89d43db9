"""Looking now: a person mended something in a cluster or in AWS, and does not want to wait for the next look.

A look that was asked for is a change of nothing but the generation: so it wakes the controller as every change does,
what was found out before is found out anew, and the agent in the cluster, whose configuration carries the generation,
walks the chain to AWS again. Called by `addon_api`.
"""

from __future__ import annotations

from datetime import datetime

from fleet import cluster_rows, events, work
from fleet.database import Database
from fleet.events import NewEvent
from fleet.records import Cluster, ClusterKey, Principal
from fleet.shards import shard_of
from schemas.errors import Conflict
from schemas.status import State

_UNDER_WAY = frozenset({State.INSTALLING, State.REMOVING})


def look(database: Database, principal: Principal, key: ClusterKey, *, now: datetime) -> Cluster:
    """Makes the cluster due; returns it as it is now. `status.observed_generation` tells when it was looked at.

    While a change or an earlier look is under way nothing is counted up: the controller comes by at once, and what the
    agent has begun goes on. So asking often costs one run of the controller each, and delays nothing.

    Raises:
        schemas.errors.NotFound: there is no such cluster.
        schemas.errors.Conflict: it is not connected.
    """
    with database.write() as session:
        cluster = cluster_rows.lock(session, key)
        if not cluster.connected:
            raise Conflict(f"cluster {key} is not connected: there is nothing to look at")
        if _is_under_way(cluster):
            work.enqueue(session, cluster.uid, shard=shard_of(cluster.uid), generation=cluster.generation)
            return cluster
        looked = cluster_rows.count_up(session, cluster)
        event = NewEvent("Normal", "LookRequested", f"{principal.name} asked to look now")
        events.add(session, cluster.uid, [event], now=now)
        return looked


def _is_under_way(cluster: Cluster) -> bool:
    behind = cluster.status.observed_generation < cluster.generation
    states = {add_on.state for add_on in cluster.status.add_ons.values()}
    return cluster.removal is not None or behind or bool(states & _UNDER_WAY)
