from copy import deepcopy
from random import Random  # noqa: TID251 - hypothesis hands out one of its own
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.secrets.service_accounts import MARK, merged, patch_for, read
from kube.objects import Object
from schemas.agent_documents import SECRET_NAME

FOREIGN = st.sampled_from(["regcred", "harbor", "quay", "pullpass-ecr-2", ""])
OURS = st.sampled_from([SECRET_NAME, "ecr-public-token", "shop-pull"])
REFERENCES = st.lists(st.one_of(FOREIGN, OURS), max_size=6).map(tuple)
MARKS = st.frozensets(OURS)
WANTED = st.lists(st.one_of(OURS, st.just("regcred")), max_size=4)
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


def patched(target: Any, patch: Any) -> Any:
    """RFC 7396, as the API server does it; objects left empty are not stored."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = patched(result.get(key), value)
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


@given(REFERENCES, MARKS, WANTED, WANTED)
def test_merging_twice_is_merging_once(
    references: tuple[str, ...], marked: frozenset[str], wanted: list[str], kept: list[str]
) -> None:
    once = merged(references, marked, wanted, kept)
    assert merged(*once, wanted, kept) == once


@given(REFERENCES, MARKS, WANTED, st.randoms())
def test_the_order_of_what_is_wanted_makes_no_difference(
    references: tuple[str, ...], marked: frozenset[str], wanted: list[str], random: Random
) -> None:
    shuffled = [*wanted]
    random.shuffle(shuffled)
    assert merged(references, marked, wanted) == merged(references, marked, shuffled)


@given(REFERENCES, st.lists(WANTED, max_size=5), WANTED)
def test_by_whatever_way_it_comes_to_the_same_names(
    references: tuple[str, ...], between: list[list[str]], wanted: list[str]
) -> None:
    state = (references, frozenset[str]())
    for names in between:
        state = merged(*state, names)
    straight = merged(references, frozenset(), wanted)
    last = merged(*state, wanted)
    assert (set(last[0]), last[1]) == (set(straight[0]), straight[1])


@given(REFERENCES, MARKS, WANTED, WANTED)
def test_what_others_put_there_stays_in_its_order_and_unmarked(
    references: tuple[str, ...], marked: frozenset[str], wanted: list[str], kept: list[str]
) -> None:
    foreign = [name for name in references if name not in marked]
    after, marks = merged(references, marked, wanted, kept)
    assert [name for name in after[: len(references)] if name in foreign] == foreign
    assert not marks & set(foreign)


@given(REFERENCES, MARKS, WANTED)
def test_what_is_wanted_is_there_and_what_is_not_is_gone(
    references: tuple[str, ...], marked: frozenset[str], wanted: list[str]
) -> None:
    after, marks = merged(references, marked, wanted)
    assert set(wanted) <= set(after)
    assert marks <= set(wanted)
    assert not (marked - set(wanted)) & set(after)


@given(REFERENCES, MARKS, WANTED)
def test_what_is_kept_is_left_as_it_is(
    references: tuple[str, ...], marked: frozenset[str], kept: list[str]
) -> None:
    after, marks = merged(references, marked, (), kept)
    assert set(kept) & set(references) <= set(after)
    assert marks == marked & set(kept) & set(references)


@given(st.one_of(st.none(), st.lists(FOREIGN, max_size=6)), ANNOTATIONS, WANTED)
def test_an_account_is_after_the_round_trip_what_it_was(
    references: list[str] | None, annotations: dict[str, str] | None, wanted: list[str]
) -> None:
    before = stored(account(references, annotations))
    patch = patch_for(read(before), wanted)
    given_to = patched(before, patch) if patch is not None else before
    back = patch_for(read(given_to), ())
    assert before == (patched(given_to, back) if back is not None else given_to)


@given(REFERENCES, MARKS, ANNOTATIONS, WANTED)
def test_once_patched_there_is_nothing_more_to_patch(
    references: tuple[str, ...],
    marked: frozenset[str],
    annotations: dict[str, str] | None,
    wanted: list[str],
) -> None:
    mark = {MARK: ",".join(sorted(marked))} if marked else {}
    before = account([*references], {**(annotations or {}), **mark})
    patch = patch_for(read(before), wanted)
    after = patched(before, patch) if patch is not None else before
    assert patch_for(read(after), wanted) is None


def test_a_reference_that_is_there_already_is_not_claimed() -> None:
    assert patch_for(read(account([SECRET_NAME])), [SECRET_NAME]) is None


def test_several_names_are_marked_in_one_annotation() -> None:
    expected = {
        "metadata": {"resourceVersion": "7", "annotations": {MARK: f"ecr-public-token,{SECRET_NAME}"}},
        "imagePullSecrets": [{"name": "regcred"}, {"name": "ecr-public-token"}, {"name": SECRET_NAME}],
    }
    assert expected == patch_for(read(account(["regcred"])), [SECRET_NAME, "ecr-public-token"])


def test_the_mark_of_an_older_agent_is_understood() -> None:
    assert read(account([SECRET_NAME], {MARK: SECRET_NAME})).marked == {SECRET_NAME}


def test_taking_back_the_only_reference_leaves_the_member_out() -> None:
    expected = {
        "metadata": {"resourceVersion": "7", "annotations": {MARK: None}},
        "imagePullSecrets": None,
    }
    assert expected == patch_for(read(account([SECRET_NAME], {MARK: SECRET_NAME})), ())


def test_a_mark_whose_reference_somebody_took_out_goes_too() -> None:
    patch = patch_for(read(account(["regcred"], {MARK: SECRET_NAME})), ())
    assert patch is not None
    assert (patch["imagePullSecrets"], patch["metadata"]["annotations"]) == (
        [{"name": "regcred"}],
        {MARK: None},
    )
