from __future__ import annotations

import json
import re
import textwrap
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.node import provider_config
from agent.node.provider_config import PROVIDER_NAME, ConfigError, load, merge, unmerge

LAW = settings(max_examples=60, deadline=None)  # a law holds however busy the machine is
OURS: dict[str, Any] = {
    "name": PROVIDER_NAME,
    "matchImages": ["*.dkr.ecr.*.amazonaws.com"],
    "defaultCacheDuration": "12h",
    "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
    "env": [{"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::123456789012:role/pull"}],
}
names = st.from_regex(r"[a-z][a-z0-9.-]{0,12}", fullmatch=True).filter(lambda name: name != PROVIDER_NAME)
texts = st.text(
    st.characters(
        codec="utf-8",
        exclude_categories=["Cs", "Cc"],
        exclude_characters="\x85\u2028\u2029\ufeff\ufffe\uffff",
    ),
    max_size=20,
)
providers = st.lists(
    st.fixed_dictionaries(
        {
            "name": names,
            "matchImages": st.lists(st.from_regex(r"[*a-z.]{1,10}", fullmatch=True), min_size=1, max_size=3),
            "defaultCacheDuration": st.sampled_from(["0s", "12h", "1h30m"]),
            "apiVersion": st.sampled_from(
                ["credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1beta1"]
            ),
        },
        optional={
            "args": st.lists(texts, max_size=2),
            "env": st.lists(st.fixed_dictionaries({"name": names, "value": texts}), max_size=2),
        },
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    version = draw(st.sampled_from(["v1", "v1beta1", "v1alpha1"]))
    content = {
        "apiVersion": f"kubelet.config.k8s.io/{version}",
        "kind": "CredentialProviderConfig",
        "providers": draw(providers),
    }
    if draw(st.booleans()):
        content = dict(reversed(content.items()))
    plain = str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10_000))
    flow = str(yaml.safe_dump(content, default_flow_style=True, sort_keys=False))
    json_styles: list[dict[str, Any]] = [
        {"indent": 2},
        {"indent": 4},
        {"indent": "\t"},
        {"separators": (",", ":")},
    ]
    jsons = [json.dumps(content, **style) for style in json_styles]
    commented = "# ours, says the team\n\n" + plain.replace("\n- ", "\n# the next one\n- ") + "# the end\n"
    head, _, items = plain.partition("providers:\n")
    end = re.search(r"^[a-z]", items, re.MULTILINE)
    cut = end.start() if end else len(items)
    indented = f"{head}providers:\n{textwrap.indent(items[:cut], '    ')}{items[cut:]}"
    styles = [
        plain,
        flow,
        *jsons,
        commented,
        indented,
        plain.replace("\n", "\r\n"),
        indented.removesuffix("\n"),
    ]
    return draw(st.sampled_from(styles))


@LAW
@given(documents())
def test_taking_out_what_was_put_in_leaves_every_byte(text: str) -> None:
    assert text == unmerge(merge(text, OURS))


@LAW
@given(documents())
def test_putting_in_twice_is_putting_in_once(text: str) -> None:
    once = merge(text, OURS)
    assert once == merge(once, OURS)


@LAW
@given(documents())
def test_every_foreign_provider_survives_in_its_order(text: str) -> None:
    assert [OURS, *load(text)["providers"]] == load(merge(text, OURS))["providers"]


@LAW
@given(documents())
def test_a_changed_provider_of_ours_replaces_the_old_one(text: str) -> None:
    other = {**OURS, "defaultCacheDuration": "1h"}
    assert merge(text, other) == merge(merge(text, OURS), other)


def test_without_a_document_ours_is_alone_and_goes_without_a_trace() -> None:
    made = merge(None, OURS)
    assert [OURS] == load(made)["providers"]
    assert unmerge(made) is None


def test_a_provider_that_others_add_to_our_file_stays() -> None:
    made = merge(None, OURS)
    edited = made + "- name: theirs\n  matchImages: [registry.example]\n"
    left = unmerge(edited)
    assert left is not None
    assert ["theirs"] == [one["name"] for one in load(left)["providers"]]


@LAW
@given(documents())
def test_what_others_append_while_we_are_there_survives(text: str) -> None:
    merged = merge(text, OURS) + ("" if text.lstrip().startswith("{") else "\n# a later remark\n")
    left = unmerge(merged)
    assert left is not None
    assert load(text) == load(left)
    assert merged.endswith("remark\n") == left.endswith("remark\n")


def test_ours_rewritten_in_block_style_by_another_tool_is_taken_out_too() -> None:
    text = yaml.safe_dump(load(merge(EKS, OURS)), sort_keys=False)
    left = unmerge(str(text))
    assert left is not None
    assert load(EKS) == load(left)


def test_ours_moved_to_the_end_by_another_tool_is_taken_out_too() -> None:
    content = load(EKS)
    content["providers"].append(OURS)
    for text in (json.dumps(content, indent=2), str(yaml.safe_dump(content, sort_keys=False))):
        left = unmerge(text)
        assert left is not None
        assert load(EKS) == load(left)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a list\n",
        "kind: CredentialProviderConfig\n",
        "kind: [\n",
        "providers: []\n",
        '{"providers": [], "providers": []}',
        "providers:\n- name: a\nkind: A\nkind: B\n",
        "x: &all\n- name: a\nproviders: *all\n",
        "a: 1\n---\nproviders: [{name: a}]\n",
    ],
)
def test_what_cannot_be_extended_without_rewriting_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        merge(text, OURS)


EKS = """\
{
  "apiVersion": "kubelet.config.k8s.io/v1",
  "kind": "CredentialProviderConfig",
  "providers": [
    {
      "name": "ecr-credential-provider",
      "matchImages": [
        "*.dkr.ecr.*.amazonaws.com",
        "public.ecr.aws"
      ],
      "defaultCacheDuration": "12h",
      "apiVersion": "credentialprovider.kubelet.k8s.io/v1"
    }
  ]
}
"""


def test_a_key_twice_is_refused_as_the_kubelet_does() -> None:
    with pytest.raises(ConfigError, match="twice"):
        provider_config.load("kind: A\nkind: B\n")
