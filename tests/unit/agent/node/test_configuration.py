from __future__ import annotations

import json
from typing import Any

import pytest

from agent.node.configuration import ConfigurationError, parse
from tests.unit.agent.node.conftest import CONFIGURATION


def read(**changes: Any) -> Any:
    return parse(json.dumps({**CONFIGURATION, **changes}))


def test_every_member_is_read() -> None:
    found = read(selector={"pool": "ecr"})
    assert (1, "acme", "berlin", ("*.dkr.ecr.*.amazonaws.com",), 1) == (
        found.generation,
        found.cluster.organisation,
        found.cluster.name,
        found.match_images,
        found.max_unavailable,
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 2}, "version: expected 1"),
        ({"more": 1}, "more: unknown member"),
        ({"generation": "1"}, "generation: expected a whole number"),
        ({"generation": True}, "generation: expected a whole number"),
        ({"maxUnavailable": 0}, "maxUnavailable: expected a whole number, 1 or more"),
        ({"removing": None}, "removing: expected true or false"),
        ({"selector": {"a": 1}}, "selector: expected an object of texts"),
        ({"matchImages": []}, "matchImages: expected a list"),
        ({"identity": "other"}, "identity: expected one of"),
        ({"audience": ""}, "audience: expected a text"),
        ({"region": 1}, "region: expected a text or null"),
        ({"cluster": {"uid": "1", "organisation": "a", "name": "b", "x": 1}}, "cluster.x: unknown member"),
        ({"aws": []}, "aws: expected an object"),
        ({"aws": {"proxy": "x"}}, "aws.proxy: unknown member"),
    ],
)
def test_an_error_names_the_member(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**changes)
    assert words in str(caught.value)


def test_a_missing_member_is_named() -> None:
    content = {name: value for name, value in CONFIGURATION.items() if name != "audience"}
    with pytest.raises(ConfigurationError, match="audience: missing"):
        parse(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse(text)


@pytest.mark.parametrize(
    ("labels", "selected"), [({}, False), ({"pool": "ecr", "x": "y"}, True), ({"pool": "other"}, False)]
)
def test_the_selector_wants_every_label(labels: dict[str, str], selected: bool) -> None:
    assert selected == read(selector={"pool": "ecr"}).selects(labels)
