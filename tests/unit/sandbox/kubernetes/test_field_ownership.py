"""Server-side apply's rules, and the laws they obey whatever the objects are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubernetes import field_ownership as ownership
from sandbox.kubernetes.field_ownership import Manager, Managers, OwnershipConflict
from sandbox.kubernetes.kinds import CONFIG_MAP, DEPLOYMENT, POD, SERVICE_ACCOUNT, Kind
from sandbox.kubernetes.types import type_of

NOW = "2026-11-22T06:00:00Z"
LATER = "2026-11-22T07:00:00Z"
ALICE = Manager("alice", "Apply", "v1")
BOB = Manager("bob", "Apply", "v1")
EDITOR = Manager("kubectl-edit", "Update", "v1")
EMPTY: dict[str, Any] = {"metadata": {}}

keys = st.sampled_from("abcd")
data = st.dictionaries(keys, st.sampled_from(["1", "2"]), max_size=4)


def config_map(values: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "x"}, "data": values}


def pod(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "x"}, "spec": {"containers": list(containers)}}


def apply(
    kind: Kind,
    live: Any,
    config: Any,
    managers: Managers,
    manager: Manager,
    *,
    force: bool = False,
    now: str = NOW,
) -> tuple[Any, Managers]:
    return ownership.applied(live, config, type_of(kind), managers, manager, now=now, force=force)


@given(data)
def test_applying_the_same_twice_changes_nothing(values: dict[str, str]) -> None:
    once = apply(CONFIG_MAP, EMPTY, config_map(values), {}, ALICE)

    assert once == apply(CONFIG_MAP, once[0], config_map(values), once[1], ALICE, now=LATER)


@given(data, data)
def test_managers_of_different_fields_commute(first: dict[str, str], second: dict[str, str]) -> None:
    ours, theirs = config_map(first), {"metadata": {"name": "x", "labels": second}}

    one = apply(CONFIG_MAP, *swap(apply(CONFIG_MAP, EMPTY, ours, {}, ALICE), theirs), BOB)
    other = apply(CONFIG_MAP, *swap(apply(CONFIG_MAP, EMPTY, theirs, {}, BOB), ours), ALICE)

    assert one == other


def swap(result: tuple[Any, Managers], config: Any) -> tuple[Any, Any, Managers]:
    return result[0], config, result[1]


@given(data, data, data)
def test_after_a_forced_apply_the_object_says_what_was_applied(
    first: dict[str, str], second: dict[str, str], third: dict[str, str]
) -> None:
    live, managers = apply(CONFIG_MAP, EMPTY, config_map(first), {}, ALICE)
    live, managers = apply(CONFIG_MAP, live, config_map(second), managers, BOB, force=True)
    live, managers = apply(CONFIG_MAP, live, config_map(third), managers, ALICE, force=True)

    assert third.items() <= live.get("data", {}).items()


@given(data, data)
def test_every_field_has_an_owner(first: dict[str, str], second: dict[str, str]) -> None:
    live, managers = apply(CONFIG_MAP, EMPTY, config_map(first), {}, ALICE)
    live, managers = apply(CONFIG_MAP, live, config_map(second), managers, BOB, force=True)

    owned = {path for one in managers.values() for path in one.fields}
    assert {("f:data", f"f:{key}") for key in live.get("data", {})} == {
        path for path in owned if len(path) == 2
    }


@given(data, data)
def test_managed_fields_survive_their_encoding(first: dict[str, str], second: dict[str, str]) -> None:
    live, managers = apply(CONFIG_MAP, EMPTY, config_map(first), {}, ALICE)
    _, managers = apply(CONFIG_MAP, live, config_map(second), managers, BOB, force=True)

    assert managers == ownership.decoded(ownership.encoded(managers))


def test_a_field_no_longer_applied_is_removed() -> None:
    live, managers = apply(CONFIG_MAP, EMPTY, config_map({"a": "1", "b": "1"}), {}, ALICE)

    live, _ = apply(CONFIG_MAP, live, config_map({"a": "1"}), managers, ALICE)

    assert {"a": "1"} == live["data"]


def test_a_field_no_longer_applied_stays_when_another_owns_it_too() -> None:
    live, managers = apply(CONFIG_MAP, EMPTY, config_map({"a": "1", "b": "1"}), {}, ALICE)
    live, managers = apply(CONFIG_MAP, live, config_map({"b": "1"}), managers, BOB)

    live, managers = apply(CONFIG_MAP, live, config_map({"a": "1"}), managers, ALICE)

    assert {"a": "1", "b": "1"} == live["data"]


def test_changing_what_another_owns_conflicts_and_names_the_field() -> None:
    live, managers = apply(CONFIG_MAP, EMPTY, config_map({"a": "1"}), {}, ALICE)

    with pytest.raises(OwnershipConflict) as refused:
        apply(CONFIG_MAP, live, config_map({"a": "2"}), managers, BOB)

    assert [(ALICE, ".data.a")] == [
        (manager, ownership.words(path)) for manager, path in refused.value.fields
    ]


def test_a_forced_apply_takes_the_field_away() -> None:
    live, managers = apply(CONFIG_MAP, EMPTY, config_map({"a": "1"}), {}, ALICE)

    _, managers = apply(CONFIG_MAP, live, config_map({"a": "2"}), managers, BOB, force=True)

    assert [BOB] == list(managers)


def test_applying_the_value_that_is_there_shares_it() -> None:
    live, managers = apply(CONFIG_MAP, EMPTY, config_map({"a": "1"}), {}, ALICE)

    _, managers = apply(CONFIG_MAP, live, config_map({"a": "1"}), managers, BOB)

    assert {ALICE, BOB} == managers.keys()


def test_another_write_takes_the_fields_it_changes_and_no_others() -> None:
    live, managers = apply(CONFIG_MAP, EMPTY, config_map({"a": "1", "b": "1"}), {}, ALICE)

    new = config_map({"a": "2", "b": "1"})
    managers = ownership.updated(live, new, type_of(CONFIG_MAP), managers, EDITOR, now=LATER)

    assert {ALICE: {("f:data", "f:b")}, EDITOR: {("f:data", "f:a")}} == {
        manager: set(owned.fields) for manager, owned in managers.items()
    }


def test_containers_merge_by_name_and_their_environment_by_variable() -> None:
    ours = {"name": "c", "image": "i:1", "env": [{"name": "A", "value": "1"}]}
    live, managers = apply(POD, EMPTY, pod(ours), {}, ALICE)

    live, _ = apply(POD, live, pod({"name": "c", "env": [{"name": "B", "value": "2"}]}), managers, BOB)

    assert [{**ours, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}] == live["spec"][
        "containers"
    ]


def test_a_port_without_protocol_is_the_tcp_one() -> None:
    live, managers = apply(
        POD, EMPTY, pod({"name": "c", "ports": [{"containerPort": 80, "protocol": "TCP"}]}), {}, ALICE
    )

    live, _ = apply(POD, live, pod({"name": "c", "ports": [{"containerPort": 80}]}), managers, BOB)

    assert [{"containerPort": 80, "protocol": "TCP"}] == live["spec"]["containers"][0]["ports"]


def test_pull_secrets_of_a_service_account_are_one_value() -> None:
    live, managers = apply(SERVICE_ACCOUNT, EMPTY, {"imagePullSecrets": [{"name": "theirs"}]}, {}, ALICE)

    live, _ = apply(
        SERVICE_ACCOUNT, live, {"imagePullSecrets": [{"name": "ours"}]}, managers, BOB, force=True
    )

    assert [{"name": "ours"}] == live["imagePullSecrets"]


def test_pull_secrets_of_a_pod_merge_by_name() -> None:
    live, managers = apply(POD, EMPTY, {"spec": {"imagePullSecrets": [{"name": "theirs"}]}}, {}, ALICE)

    live, _ = apply(POD, live, {"spec": {"imagePullSecrets": [{"name": "ours"}]}}, managers, BOB)

    assert [{"name": "theirs"}, {"name": "ours"}] == live["spec"]["imagePullSecrets"]


def test_finalizers_are_a_set() -> None:
    live, managers = apply(CONFIG_MAP, EMPTY, {"metadata": {"finalizers": ["a/b"]}}, {}, ALICE)
    live, managers = apply(CONFIG_MAP, live, {"metadata": {"finalizers": ["c/d"]}}, managers, BOB)

    live, _ = apply(CONFIG_MAP, live, {"metadata": {}}, managers, ALICE)

    assert ["c/d"] == live["metadata"]["finalizers"]


def test_a_container_taken_out_goes_with_the_defaults_that_nobody_owns() -> None:
    first, second = {"name": "c", "image": "i:1"}, {"name": "d", "image": "i:1"}
    live, managers = apply(POD, EMPTY, pod(first, second), {}, ALICE)
    live["spec"]["containers"][1]["imagePullPolicy"] = "Always"

    live, _ = apply(POD, live, pod(first), managers, ALICE)

    assert [first] == live["spec"]["containers"]


def test_what_is_applied_does_not_change_what_it_was_applied_to() -> None:
    live, managers = apply(POD, EMPTY, pod({"name": "c", "image": "i:1"}), {}, ALICE)

    apply(POD, live, pod({"name": "c", "image": "i:2"}), managers, ALICE)

    assert "i:1" == live["spec"]["containers"][0]["image"]


def test_a_selector_is_one_value() -> None:
    selector = {"spec": {"selector": {"matchLabels": {"a": "b"}}}}

    assert {("f:spec", "f:selector")} == ownership.fields_of(selector, type_of(DEPLOYMENT))
