"""What stands in columns beside the documents is what the documents say, whatever was done to a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, update

from fleet import clusters, connections, shards, standing, statuses, tables
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Principal
from fleet.standing import Standing
from schemas.status import AddOnStatus, ClusterStatus, Issue, State
from tests.unit.fleet.samples import CONNECTION, NOW, ROLE_ARN, manifest

BOTH = {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE_ARN}}
FEW = settings(
    max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
CODES = ("ClusterUnreachable", "RoleArnMissing", "EcrAccessDenied")

found_issues = st.lists(st.sampled_from(CODES), max_size=2).map(
    lambda codes: tuple(Issue(code, "", "") for code in codes)
)
expiries = st.sampled_from((None, "2026-11-22T12:00:00Z", "2026-11-23T12:00:00Z"))


def add_on_status(
    state: State, issues: tuple[Issue, ...], secrets_end: str | None, nodes_end: str | None
) -> AddOnStatus:
    details: dict[str, Any] = {}
    if secrets_end is not None:
        details["credentials"] = {"expiresAt": secrets_end}
    if nodes_end is not None:
        details["nodes"] = {"tokenExpiresAt": nodes_end}
    return AddOnStatus(state, issues=issues, details=details)


add_on_statuses = st.builds(add_on_status, st.sampled_from(State), found_issues, expiries, expiries)
all_statuses = st.builds(
    ClusterStatus,
    issues=found_issues,
    add_ons=st.dictionaries(st.sampled_from(("awsECR", "awsWorkloadIdentity")), add_on_statuses),
)
wishes = st.builds(
    lambda add_ons, description: Wish({**manifest(addOns=add_ons), "description": description}),
    st.sampled_from(({}, {"awsWorkloadIdentity": {}}, BOTH)),
    st.text(max_size=20),
)


class Commands(RuleBasedStateMachine):
    """Everything that may be done to one cluster, in any order."""

    database: Database
    admin: Principal
    key = ClusterKey("acme", "demo")

    def __init__(self) -> None:
        super().__init__()
        self.epochs = shards.heartbeat(self.database, "controller", now=NOW)
        if self.is_there():
            clusters.force_remove(self.database, self.admin, self.key, now=NOW)

    def is_there(self) -> bool:
        return bool(clusters.page(self.database, self.key.org).items)

    def stored(self) -> Cluster:
        return clusters.read(self.database, self.key)

    @rule(wish=wishes)
    def put(self, wish: Wish) -> None:
        clusters.put(self.database, self.admin, self.key, wish, now=NOW)

    @precondition(is_there)
    @rule()
    def connect(self) -> None:
        connections.put(self.database, self.admin, self.key, CONNECTION, now=NOW)

    @precondition(is_there)
    @rule(status=all_statuses, answered=st.booleans())
    def report(self, status: ClusterStatus, answered: bool) -> None:
        uid = self.stored().uid
        shard = shards.shard_of(uid)
        statuses.write(
            self.database, uid, status, [], shard=shard, epoch=self.epochs[shard], now=NOW, answered=answered
        )

    @precondition(is_there)
    @rule()
    def remove(self) -> None:
        clusters.remove(self.database, self.admin, self.key, now=NOW)

    @precondition(is_there)
    @rule()
    def force_remove(self) -> None:
        clusters.force_remove(self.database, self.admin, self.key, now=NOW)

    @precondition(is_there)
    @rule()
    def forget(self) -> None:
        uid = self.stored().uid
        shard = shards.shard_of(uid)
        clusters.forget(self.database, uid, shard=shard, epoch=self.epochs[shard], now=NOW)

    @invariant()
    def the_columns_say_what_the_documents_say(self) -> None:
        column = tables.clusters.c
        with self.database.read() as session:
            rows = session.execute(
                select(column.uid, column.standing, column.search, column.credentials_expire_at)
            ).all()
            hits = session.execute(select(tables.cluster_issues)).all()
        expected, expected_hits = [], set()
        if self.is_there():
            cluster = self.stored()
            expected = [
                (
                    cluster.uid,
                    standing.of_cluster(cluster),
                    standing.search_text(cluster),
                    standing.credentials_expire_at(cluster.status),
                )
            ]
            codes = standing.issue_codes(cluster.status)
            expected_hits = {(cluster.uid, code, self.key.org) for code in codes}
        assert expected == [tuple(row) for row in rows]
        assert expected_hits == {tuple(hit) for hit in hits}


def test_columns_agree_with_documents_after_any_commands(database: Database, admin: Principal) -> None:
    machine: Any = type("Machine", (Commands,), {"database": database, "admin": admin})

    run_state_machine_as_test(machine, settings=FEW)


def test_an_add_on_that_was_just_enabled_is_being_installed_though_an_older_status_comes_in(
    database: Database,
    admin: Principal,
    connected: Cluster,
    hold_shards: Callable[[str], tuple[int, int]],
) -> None:
    clusters.put(database, admin, connected.key, Wish(manifest(addOns=BOTH)), now=NOW)
    shard, epoch = hold_shards(connected.uid)

    statuses.write(database, connected.uid, ClusterStatus(), [], shard=shard, epoch=epoch, now=NOW)

    with database.read() as session:
        assert Standing.INSTALLING == session.execute(select(tables.clusters.c.standing)).scalar_one()


def test_what_a_release_before_stored_without_columns_gets_them_with_its_next_status(
    database: Database, stored: Cluster, hold_shards: Callable[[str], tuple[int, int]]
) -> None:
    columns = tables.clusters.c
    with database.write() as session:
        session.execute(update(tables.clusters).values(standing=None, search=None))
    shard, epoch = hold_shards(stored.uid)

    statuses.write(database, stored.uid, ClusterStatus(), [], shard=shard, epoch=epoch, now=NOW)

    with database.read() as session:
        found = session.execute(select(columns.standing, columns.search)).one()
    assert (Standing.NOT_CONNECTED, standing.search_text(stored)) == tuple(found)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((), Standing.DISABLED),
        ((State.READY, State.READY), Standing.READY),
        ((State.READY, State.INSTALLING), Standing.INSTALLING),
        ((State.INSTALLING, State.REMOVING), Standing.REMOVING),
        ((State.REMOVING, State.DEGRADED), Standing.DEGRADED),
        ((State.DEGRADED, State.BLOCKED), Standing.BLOCKED),
        ((State.BLOCKED, State.FAILED), Standing.FAILED),
    ],
)
def test_a_cluster_stands_as_its_worst_add_on(
    connected: Cluster, states: tuple[State, ...], expected: Standing
) -> None:
    keys = ("awsECR", "awsWorkloadIdentity")
    status = ClusterStatus(
        add_ons={key: AddOnStatus(state) for key, state in zip(keys, states, strict=False)}
    )

    assert expected == standing.of_cluster(replace(connected, status=status))


@given(text=st.text())
def test_what_is_searched_can_be_stored(text: str) -> None:
    cluster = Cluster(
        uid="uid",
        key=ClusterKey("acme", "demo"),
        manifest={**manifest(), "description": f"{text}\x00\ud800"},
        settings={},
        version=1,
        generation=1,
        created=NOW,
        last_modified=NOW,
    )
    searched = standing.search_text(cluster)

    assert searched.encode().decode() == searched
    assert "\x00" not in searched
    assert 500 >= len(searched)


def test_the_first_of_two_expiries_counts() -> None:
    early, late = "2026-11-22T12:00:00Z", "2026-11-23T12:00:00Z"
    status = ClusterStatus(add_ons={"awsECR": add_on_status(State.READY, (), late, early)})

    found = standing.credentials_expire_at(status)

    assert found is not None
    assert timedelta(hours=6, minutes=20) == found - NOW.replace(second=0, microsecond=0)


def test_without_credentials_nothing_expires() -> None:
    assert standing.credentials_expire_at(ClusterStatus()) is None
