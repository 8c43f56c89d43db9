from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.secrets.service_accounts import (
    MARK,
    added,
    patch_to_add,
    patch_to_take_back,
    read,
    taken_back,
)
from kube.objects import Object
from schemas.agent_documents import SECRET_NAME

FOREIGN = st.sampled_from(["regcred", "harbor", "quay", "pullpass-ecr-2", ""])
REFERENCES = st.lists(st.one_of(FOREIGN, st.just(SECRET_NAME)), max_size=6)
ANNOTATIONS = st.one_of(
    st.none(), st.dictionaries(st.sampled_from(["a", "eks.amazonaws.com/role-arn"]), st.text())
)


def account(references: list[str] | None, annotations: dict[str, str] | None = None) -> Object:
    metadata: dict[str, Any] = {"name": "default", "namespace": "shop", "resourceVersion": "7"}
    if annotations is not None:
        metadata["annotations"] = annotations
    obj: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    if references is not None:
        obj["imagePullSecrets"] = [{"name": name} if name else {} for name in references]
    return obj


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396, as the API server does it; objects left empty are not stored."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    if result.get("annotations") == {}:
        del result["annotations"]
    return result


def stored(obj: Object) -> Object:
    """As the API server stores it: what is empty is left out."""
    obj = deepcopy(obj)
    if not obj.get("imagePullSecrets"):
        obj.pop("imagePullSecrets", None)
    if not obj["metadata"].get("annotations"):
        obj["metadata"].pop("annotations", None)
    return obj


@given(REFERENCES)
def test_adding_twice_is_adding_once(references: list[str]) -> None:
    assert added(references) == added(added(references))


@given(REFERENCES)
def test_adding_keeps_every_entry_in_its_place(references: list[str]) -> None:
    assert tuple(references) == added(references)[: len(references)]


@given(REFERENCES)
def test_after_adding_ours_is_there(references: list[str]) -> None:
    assert SECRET_NAME in added(references)


@given(st.lists(FOREIGN, max_size=6))
def test_ours_is_added_at_the_end(references: list[str]) -> None:
    assert (*references, SECRET_NAME) == added(references)


@given(REFERENCES)
def test_taking_back_drops_ours_alone_and_keeps_the_order(references: list[str]) -> None:
    assert tuple(name for name in references if name != SECRET_NAME) == taken_back(references)


@given(st.lists(FOREIGN, max_size=6))
def test_taking_back_undoes_adding(references: list[str]) -> None:
    assert tuple(references) == taken_back(added(references))


@given(st.one_of(st.none(), st.lists(FOREIGN, max_size=6)), ANNOTATIONS)
def test_an_account_is_after_the_round_trip_what_it_was(
    references: list[str] | None, annotations: dict[str, str] | None
) -> None:
    before = stored(account(references, annotations))
    patch = patch_to_add(read(before))
    assert patch is not None
    given_to = merged(before, patch)
    back = patch_to_take_back(read(given_to))
    assert back is not None
    assert before == merged(given_to, back)


@given(REFERENCES, ANNOTATIONS)
def test_once_added_there_is_nothing_more_to_add(
    references: list[str], annotations: dict[str, str] | None
) -> None:
    before = account(references, annotations)
    patch = patch_to_add(read(before))
    after = merged(before, patch) if patch is not None else before
    assert patch_to_add(read(after)) is None


@given(REFERENCES, ANNOTATIONS)
def test_once_taken_back_there_is_nothing_more_to_take(
    references: list[str], annotations: dict[str, str] | None
) -> None:
    before = account(references, {**(annotations or {}), MARK: SECRET_NAME})
    patch = patch_to_take_back(read(before))
    assert patch is not None
    assert patch_to_take_back(read(merged(before, patch))) is None


@given(REFERENCES, ANNOTATIONS)
def test_a_reference_that_somebody_else_put_there_is_never_taken(
    references: list[str], annotations: dict[str, str] | None
) -> None:
    assert patch_to_take_back(read(account([*references, SECRET_NAME], annotations))) is None


def test_a_reference_that_is_there_already_is_not_claimed() -> None:
    assert patch_to_add(read(account([SECRET_NAME]))) is None


def test_a_patch_carries_the_resource_version_as_a_lock() -> None:
    expected = {
        "metadata": {"resourceVersion": "7", "annotations": {MARK: SECRET_NAME}},
        "imagePullSecrets": [{"name": "regcred"}, {"name": SECRET_NAME}],
    }
    assert expected == patch_to_add(read(account(["regcred"])))


def test_taking_back_the_only_reference_leaves_the_member_out() -> None:
    expected = {
        "metadata": {"resourceVersion": "7", "annotations": {MARK: None}},
        "imagePullSecrets": None,
    }
    assert expected == patch_to_take_back(read(account([SECRET_NAME], {MARK: SECRET_NAME})))


def test_a_mark_whose_reference_somebody_took_out_goes_too() -> None:
    patch = patch_to_take_back(read(account(["regcred"], {MARK: SECRET_NAME})))
    assert patch is not None
    assert patch["imagePullSecrets"] == [{"name": "regcred"}]
