import pytest

from agent.secrets.claims import Selection
from agent.secrets.selection import of_settings, selects_account, selects_namespace
from schemas.addons.aws_ecr import PullSecret


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("default", True),
        ("kube-system", False),
        ("kube-public", False),
        ("pullpass-system", False),
        ("kubeflow", True),
    ],
)
def test_by_default_every_namespace_but_those_of_kubernetes_and_our_own(name: str, expected: bool) -> None:
    assert selects_namespace(of_settings(PullSecret()), name, {}) is expected


def test_our_own_namespace_is_not_selected_even_by_name() -> None:
    assert not selects_namespace(
        Selection(namespaces=("pullpass-system",), exclude_namespaces=()), "pullpass-system", {}
    )


def test_a_selection_of_nothing_selects_nothing() -> None:
    assert not selects_namespace(Selection(none=True), "shop", {})


@pytest.mark.parametrize(("name", "expected"), [("shop-1", True), ("shop", False)])
def test_a_name_may_be_a_glob(name: str, expected: bool) -> None:
    assert selects_namespace(Selection(namespaces=("shop-*",)), name, {}) is expected


@pytest.mark.parametrize(("name", "expected"), [("shop", True), ("shop-2", False)])
def test_names_narrow(name: str, expected: bool) -> None:
    assert selects_namespace(Selection(namespaces=("shop",)), name, {}) is expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"team": "a", "tier": "1"}, True),
        ({"team": "a"}, False),
        ({"team": "b", "tier": "1"}, False),
        ({}, False),
    ],
)
def test_every_label_of_the_selector_must_match(labels: dict[str, str], expected: bool) -> None:
    chosen = Selection(namespace_selector={"team": "a", "tier": "1"})
    assert selects_namespace(chosen, "shop", labels) is expected


def test_an_exclusion_wins_over_a_name() -> None:
    assert not selects_namespace(
        Selection(namespaces=("kube-system",), exclude_namespaces=("kube-*",)), "kube-system", {}
    )


def test_without_exclusions_namespaces_of_kubernetes_are_selected() -> None:
    assert selects_namespace(Selection(exclude_namespaces=()), "kube-system", {})


@pytest.mark.parametrize(("name", "expected"), [("ci-1", False), ("ci", True), ("CI-1", True)])
def test_an_exclusion_is_a_glob_over_the_whole_name(name: str, expected: bool) -> None:
    assert selects_namespace(Selection(exclude_namespaces=("ci-*",)), name, {}) is expected


@pytest.mark.parametrize(
    ("wanted", "default", "builder"),
    [
        ("all", True, True),
        ("default", True, False),
        ("none", False, False),
        (("builder",), False, True),
        ((), False, False),
    ],
)
def test_service_accounts_are_all_or_default_or_none_or_those_named(
    wanted: str | tuple[str, ...], default: bool, builder: bool
) -> None:
    assert (selects_account(wanted, "default"), selects_account(wanted, "builder")) == (default, builder)
