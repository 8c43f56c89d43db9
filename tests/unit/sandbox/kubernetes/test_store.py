"""The store: revisions, changes, and how far back they reach."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.kubernetes.kinds import CONFIG_MAP, SECRET
from sandbox.kubernetes.store import Store, WindowPassed


def config_map(name: str, namespace: str = "default") -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": namespace}}


def test_every_write_has_a_higher_revision_than_the_one_before() -> None:
    store = Store()

    revisions = [store.write(CONFIG_MAP, config_map(name), {}).revision for name in "aba"]

    assert sorted(set(revisions)) == revisions


def test_changes_behind_a_revision_come_in_order() -> None:
    store = Store()
    first = store.write(CONFIG_MAP, config_map("a"), {})
    store.write(CONFIG_MAP, config_map("b"), {})
    store.remove(CONFIG_MAP, "default", "b")

    changes, _ = store.changes_since(CONFIG_MAP, first.revision)

    assert [("b", True), ("b", False)] == [
        (change.last.key[1], change.after is not None) for change in changes
    ]


def test_a_removal_tells_the_last_state_under_a_revision_of_its_own() -> None:
    store = Store()
    written = store.write(CONFIG_MAP, config_map("a"), {})

    removed = store.remove(CONFIG_MAP, "default", "a")

    assert str(written.revision + 1) == removed.metadata["resourceVersion"]


def test_changes_of_one_kind_are_not_those_of_another() -> None:
    store = Store()
    store.write(CONFIG_MAP, config_map("a"), {})

    assert [] == store.changes_since(SECRET, 0)[0]


def test_changes_that_left_the_window_are_refused() -> None:
    store = Store(window=2)
    first = store.write(CONFIG_MAP, config_map("a"), {})
    for _ in range(3):
        store.write(CONFIG_MAP, config_map("a"), {})

    with pytest.raises(WindowPassed):
        store.changes_since(CONFIG_MAP, first.revision)


def test_a_full_window_still_serves_the_revision_before_it() -> None:
    store = Store(window=2)
    first = store.write(CONFIG_MAP, config_map("a"), {})
    store.write(CONFIG_MAP, config_map("b"), {})
    store.write(CONFIG_MAP, config_map("c"), {})

    changes, _ = store.changes_since(CONFIG_MAP, first.revision)

    assert ["b", "c"] == [change.last.key[1] for change in changes]


def test_nothing_resumes_from_before_a_restart() -> None:
    store = Store()
    store.write(CONFIG_MAP, config_map("a"), {})
    last = store.write(CONFIG_MAP, config_map("b"), {})

    store.restart()

    assert [False, True] == [
        store.knows(CONFIG_MAP, last.revision - 1),
        store.knows(CONFIG_MAP, last.revision),
    ]


def test_a_snapshot_restores_objects_and_revision() -> None:
    store, other = Store(), Store()
    store.write(CONFIG_MAP, config_map("a"), {})
    kept = store.snapshot()

    other.restore(kept["revision"], kept["objects"])

    assert kept == other.snapshot()


def test_a_list_is_in_order_of_namespace_and_name() -> None:
    store = Store()
    for namespace, name in (("b", "a"), ("a", "b"), ("a", "a")):
        store.write(CONFIG_MAP, config_map(name, namespace), {})

    found, _ = store.all(CONFIG_MAP)

    assert [("a", "a"), ("a", "b"), ("b", "a")] == [one.key for one in found]
