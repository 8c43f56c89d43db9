"""Reading clusters and the commands that change one, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fleet import clusters, connections, events, issuers, work
from fleet.clusters import Expectation, Wish
from fleet.database import Database
from fleet.records import Cluster, ClusterKey, Principal
from schemas.errors import Conflict, Invalid, NotFound, PreconditionFailed
from tests.unit.fleet.samples import NOW, manifest

LATER = NOW + timedelta(minutes=1)
EVERY_SHARD = range(64)


def audited(database: Database) -> list[tuple[str, str, int | None]]:
    with database.read() as session:
        rows = session.exec_driver_sql("SELECT action, name, version FROM audit ORDER BY id").all()
    return [(row.action, row.name, row.version) for row in rows]


def reasons(database: Database, key: ClusterKey) -> list[str]:
    return [event.reason for event in events.page(database, key).items]


def finish_all(database: Database) -> None:
    for item in work.due(database, EVERY_SHARD):
        work.finish(database, item.uid, generation=item.generation)


def test_a_stored_cluster_reads_back_as_it_was_written(
    database: Database, admin: Principal, demo: ClusterKey, wish: Wish
) -> None:
    written = clusters.put(database, admin, demo, wish, now=NOW)

    assert written.created
    assert written.changed
    assert written.cluster == clusters.read(database, demo)
    assert written.cluster == clusters.load(database, written.cluster.uid)


def test_a_new_cluster_starts_at_version_and_generation_one(stored: Cluster) -> None:
    assert (1, 1) == (stored.version, stored.generation)
    assert (NOW, NOW) == (stored.created, stored.last_modified)


def test_a_document_keeps_its_order_its_numbers_and_its_emptiness(
    database: Database, admin: Principal, demo: ClusterKey
) -> None:
    spec = {"z": {}, "a": [], "float": 0.7, "whole": 1.0, "big": 2**63, "text": "ü\u0000\ud800", "none": None}
    sent = {"name": "demo", "spec": spec}
    clusters.put(database, admin, demo, Wish(sent), now=NOW)

    stored = clusters.read(database, demo).manifest

    assert sent == stored
    assert list(spec) == list(stored["spec"])
    assert isinstance(stored["spec"]["whole"], float)


def test_reading_an_unknown_cluster_is_refused(database: Database) -> None:
    with pytest.raises(NotFound, match="acme/nobody"):
        clusters.read(database, ClusterKey("acme", "nobody"))


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800b"])
def test_a_name_that_no_database_stores_is_refused_and_breaks_nothing(
    database: Database, stored: Cluster, name: str
) -> None:
    with pytest.raises((NotFound, Invalid)):
        clusters.read(database, ClusterKey("acme", name))

    assert stored == clusters.read(database, stored.key)


def test_loading_a_cluster_that_is_gone_gives_none(database: Database) -> None:
    assert clusters.load(database, "nobody") is None


def test_a_first_write_is_audited_told_and_due(database: Database, demo: ClusterKey, stored: Cluster) -> None:
    assert [("create", "demo", 1)] == audited(database)
    assert ["Created"] == reasons(database, demo)
    assert [(stored.uid, 1)] == [(item.uid, item.generation) for item in work.due(database, EVERY_SHARD)]


def test_the_audit_names_who_did_it(database: Database, admin: Principal, stored: Cluster) -> None:
    with database.read() as session:
        row = session.exec_driver_sql("SELECT org, principal, resource FROM audit").one()

    assert ("acme", f"alice ({admin.token_id})", "mk8s") == tuple(row)


def test_the_same_wish_again_changes_nothing(
    database: Database, admin: Principal, demo: ClusterKey, stored: Cluster, wish: Wish
) -> None:
    finish_all(database)

    written = clusters.put(database, admin, demo, wish, now=LATER)

    assert not written.changed
    assert stored == written.cluster == clusters.read(database, demo)
    assert () == work.due(database, EVERY_SHARD)
    assert [("create", "demo", 1)] == audited(database)


def test_another_order_of_members_is_the_same_wish(
    database: Database, admin: Principal, demo: ClusterKey, stored: Cluster
) -> None:
    reordered = dict(reversed(manifest().items()))

    assert not clusters.put(database, admin, demo, Wish(reordered), now=LATER).changed


@pytest.mark.parametrize(("before", "after"), [(1, 1.0), (1, True), (0, False), ({}, None)])
def test_values_that_python_holds_equal_are_a_change(
    database: Database, admin: Principal, demo: ClusterKey, before: object, after: object
) -> None:
    clusters.put(database, admin, demo, Wish(manifest(value=before)), now=NOW)

    assert clusters.put(database, admin, demo, Wish(manifest(value=after)), now=LATER).changed


def test_a_change_of_the_spec_counts_version_and_generation_up_and_is_due(
    database: Database, admin: Principal, demo: ClusterKey, stored: Cluster
) -> None:
    finish_all(database)

    written = clusters.put(database, admin, demo, Wish(manifest(version="1.32.0")), now=LATER)

    assert not written.created
    assert written.changed
    assert (2, 2, LATER) == (
        written.cluster.version,
        written.cluster.generation,
        written.cluster.last_modified,
    )
    assert NOW == written.cluster.created
    assert [2] == [item.generation for item in work.due(database, EVERY_SHARD)]


def test_a_change_of_tags_alone_asks_for_no_reconcile(
    database: Database, admin: Principal, demo: ClusterKey, stored: Cluster
) -> None:
    finish_all(database)

    written = clusters.put(database, admin, demo, Wish(manifest() | {"tags": {"a": "b"}}), now=LATER)

    assert written.changed
    assert (2, 1) == (written.cluster.version, written.cluster.generation)
    assert () == work.due(database, EVERY_SHARD)


def test_a_change_of_settings_alone_asks_for_a_reconcile(
    database: Database, admin: Principal, demo: ClusterKey, stored: Cluster, wish: Wish
) -> None:
    settings: dict[str, Any] = {"awsECR": {"registries": []}}

    written = clusters.put(database, admin, demo, Wish(wish.manifest, settings), now=LATER)

    assert settings == clusters.read(database, demo).settings
    assert (2, 2) == (written.cluster.version, written.cluster.generation)


def test_a_write_without_settings_leaves_them(
    database: Database, admin: Principal, demo: ClusterKey, wish: Wish
) -> None:
    clusters.put(database, admin, demo, Wish(wish.manifest, {"awsECR": {}}), now=NOW)

    clusters.put(database, admin, demo, Wish(manifest(version="1.32.0")), now=LATER)

    assert {"awsECR": {}} == clusters.read(database, demo).settings


def test_empty_settings_reset_them(
    database: Database, admin: Principal, demo: ClusterKey, wish: Wish
) -> None:
    clusters.put(database, admin, demo, Wish(wish.manifest, {"awsECR": {}}), now=NOW)

    assert clusters.put(database, admin, demo, Wish(wish.manifest, {}), now=LATER).changed
    assert {} == clusters.read(database, demo).settings


@pytest.mark.parametrize(
    ("expect", "refusal"),
    [
        (Expectation(version=7), Conflict),
        (Expectation(uid="another"), Conflict),
        (Expectation(version=7, from_header=True), PreconditionFailed),
        (Expectation(uid="another", from_header=True), PreconditionFailed),
    ],
)
def test_a_wrong_expectation_is_refused_and_nothing_changed(
    database: Database, admin: Principal, stored: Cluster, expect: Expectation, refusal: type[Exception]
) -> None:
    demo = stored.key
    finish_all(database)

    with pytest.raises(refusal, match="changed meanwhile"):
        clusters.put(database, admin, demo, Wish(manifest(version="2")), now=LATER, expect=expect)

    assert stored == clusters.read(database, demo)
    assert () == work.due(database, EVERY_SHARD)
    assert ["Created"] == reasons(database, demo)
    assert [("create", "demo", 1)] == audited(database)


def test_a_right_expectation_lets_the_write_through(
    database: Database, admin: Principal, demo: ClusterKey, stored: Cluster
) -> None:
    expect = Expectation(version=1, uid=stored.uid, from_header=True)

    written = clusters.put(database, admin, demo, Wish(manifest(version="2")), now=LATER, expect=expect)

    assert 2 == written.cluster.version


def test_if_match_on_nothing_is_refused(
    database: Database, admin: Principal, demo: ClusterKey, wish: Wish
) -> None:
    with pytest.raises(PreconditionFailed):
        clusters.put(database, admin, demo, wish, now=NOW, expect=Expectation(from_header=True))


def test_a_body_saved_before_a_deletion_creates_again(
    database: Database, admin: Principal, demo: ClusterKey, wish: Wish
) -> None:
    saved = Expectation(version=9, uid="of-old")

    assert clusters.put(database, admin, demo, wish, now=NOW, expect=saved).created


def test_create_refuses_a_name_that_is_taken(
    database: Database, admin: Principal, demo: ClusterKey, stored: Cluster, wish: Wish
) -> None:
    with pytest.raises(Conflict, match="exists already"):
        clusters.create(database, admin, demo, wish, now=LATER)


def test_the_same_name_in_another_organisation_is_another_cluster(
    database: Database, admin: Principal, stored: Cluster, wish: Wish
) -> None:
    other = clusters.create(database, admin, ClusterKey("other", "demo"), wish, now=NOW)

    assert stored.uid != other.cluster.uid


def test_patch_writes_what_the_change_says(
    database: Database, admin: Principal, demo: ClusterKey, stored: Cluster
) -> None:
    def retag(cluster: Cluster) -> Wish:
        return Wish(dict(cluster.manifest) | {"tags": {"team": "a"}})

    written = clusters.patch(database, admin, demo, retag, now=LATER)

    assert {"team": "a"} == written.cluster.manifest["tags"]
    assert written.cluster == clusters.read(database, demo)


def test_a_change_that_refuses_writes_nothing(
    database: Database, admin: Principal, demo: ClusterKey, stored: Cluster
) -> None:
    def refuse(_: Cluster) -> Wish:
        raise Invalid("no")

    with pytest.raises(Invalid):
        clusters.patch(database, admin, demo, refuse, now=LATER)

    assert stored == clusters.read(database, demo)


def test_patch_of_an_unknown_cluster_is_refused(
    database: Database, admin: Principal, demo: ClusterKey, wish: Wish
) -> None:
    with pytest.raises(NotFound):
        clusters.patch(database, admin, demo, lambda _: wish, now=NOW)


def test_patch_of_a_cluster_being_removed_is_refused(
    database: Database, admin: Principal, demo: ClusterKey, connected: Cluster, wish: Wish
) -> None:
    clusters.remove(database, admin, demo, now=LATER)

    with pytest.raises(Conflict, match="being removed"):
        clusters.patch(database, admin, demo, lambda _: wish, now=LATER)


def test_removing_a_cluster_that_was_never_connected_ends_it_at_once(
    database: Database, admin: Principal, demo: ClusterKey, stored: Cluster
) -> None:
    assert clusters.remove(database, admin, demo, now=LATER) is None

    assert clusters.load(database, stored.uid) is None
    assert () == work.due(database, EVERY_SHARD)
    assert ("delete", "demo", 1) == audited(database)[-1]


def test_removing_a_connected_cluster_begins_the_removal_phase(
    database: Database, admin: Principal, demo: ClusterKey, connected: Cluster
) -> None:
    finish_all(database)

    removed = clusters.remove(database, admin, demo, now=LATER)

    assert removed == clusters.read(database, demo)
    assert removed is not None
    assert removed.removal is not None
    assert (LATER, "alice") == (removed.removal.requested_at, removed.removal.requested_by)
    assert connected.generation + 1 == removed.generation
    assert [removed.generation] == [item.generation for item in work.due(database, EVERY_SHARD)]
    assert "RemovalRequested" == reasons(database, demo)[0]


def test_removing_again_changes_nothing(
    database: Database, admin: Principal, demo: ClusterKey, connected: Cluster
) -> None:
    first = clusters.remove(database, admin, demo, now=NOW)

    assert first == clusters.remove(database, admin, demo, now=LATER)
    assert 1 == [action for action, _, _ in audited(database)].count("delete")


def test_removing_an_unknown_cluster_is_refused(
    database: Database, admin: Principal, demo: ClusterKey
) -> None:
    with pytest.raises(NotFound):
        clusters.remove(database, admin, demo, now=NOW)


def test_put_during_removal_cancels_it_even_with_the_same_wish(
    database: Database, admin: Principal, demo: ClusterKey, connected: Cluster, wish: Wish
) -> None:
    clusters.remove(database, admin, demo, now=NOW)

    written = clusters.put(database, admin, demo, wish, now=LATER)

    assert written.changed
    assert not written.created
    assert written.cluster.removal is None
    assert connected.uid == written.cluster.uid
    assert connected.generation + 2 == written.cluster.generation
    assert ["RemovalCancelled", "RemovalRequested"] == reasons(database, demo)[:2]


def test_create_during_removal_answers_as_for_a_new_cluster(
    database: Database, admin: Principal, demo: ClusterKey, connected: Cluster
) -> None:
    clusters.remove(database, admin, demo, now=NOW)

    written = clusters.create(database, admin, demo, Wish(manifest(version="2")), now=LATER)

    assert written.created
    assert written.cluster.removal is None
    assert connected.uid == written.cluster.uid
    assert "2" == clusters.read(database, demo).manifest["spec"]["version"]


def test_forced_removal_forgets_the_cluster_and_its_credential(
    database: Database, admin: Principal, demo: ClusterKey, connected: Cluster
) -> None:
    assert connected == clusters.force_remove(database, admin, demo, now=LATER)

    assert clusters.load(database, connected.uid) is None
    assert connections.read(database, connected.uid) is None
    assert ("forceDelete", "demo", 1) == audited(database)[-1]


def test_forced_removal_keeps_a_published_issuer_as_a_tombstone(
    database: Database, admin: Principal, demo: ClusterKey, connected: Cluster
) -> None:
    issuer = issuers.reserve(database, connected.uid)
    issuers.observe(database, connected.uid, {"keys": [{"kid": "a"}]})

    clusters.force_remove(database, admin, demo, now=LATER)

    served = issuers.read(database, issuer.id)
    assert served is not None
    assert served.tombstone
    assert {"keys": [{"kid": "a"}]} == served.keys


def test_an_orderly_removal_leaves_no_tombstone(
    database: Database, admin: Principal, demo: ClusterKey, stored: Cluster
) -> None:
    issuer = issuers.reserve(database, stored.uid)
    issuers.observe(database, stored.uid, {"keys": [{"kid": "a"}]})

    clusters.remove(database, admin, demo, now=LATER)

    assert issuers.read(database, issuer.id) is None


def test_a_name_that_was_forgotten_may_be_used_again_by_another_cluster(
    database: Database, admin: Principal, demo: ClusterKey, connected: Cluster, wish: Wish
) -> None:
    issuers.reserve(database, connected.uid)
    issuers.observe(database, connected.uid, {"keys": [{"kid": "a"}]})
    clusters.force_remove(database, admin, demo, now=NOW)

    again = clusters.create(database, admin, demo, wish, now=LATER).cluster

    assert connected.uid != again.uid
    assert not again.connected
    assert issuers.of_cluster(database, again.uid) is None


def test_pages_follow_the_name_and_join_without_gap_or_double(database: Database, admin: Principal) -> None:
    names = ["a", "a-1", "a0", "b", "c", "d10", "d9"]
    for name in reversed(names):
        clusters.put(database, admin, ClusterKey("acme", name), Wish(manifest(name)), now=NOW)
    clusters.put(database, admin, ClusterKey("other", "a2"), Wish(manifest("a2")), now=NOW)

    seen, after = [], None
    while True:
        page = clusters.page(database, "acme", after=after, limit=3)
        seen.append([cluster.key.name for cluster in page.items])
        after = page.after
        if after is None:
            break

    assert [["a", "a-1", "a0"], ["b", "c", "d10"], ["d9"]] == seen


def test_a_page_that_is_just_full_is_the_last(database: Database, stored: Cluster) -> None:
    assert clusters.page(database, "acme", limit=1).after is None


def test_ids_are_128_bits_of_lower_case(stored: Cluster) -> None:
    assert 26 == len(stored.uid)
    assert set(stored.uid) <= set("abcdefghijklmnopqrstuvwxyz234567")
