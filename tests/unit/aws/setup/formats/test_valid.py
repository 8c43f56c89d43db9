"""Each format is valid in its own tool, and stands for itself whatever names are in it."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import replace
from typing import Any

import pytest
import yaml
from cfnlint import lint  # type: ignore[import-untyped]  # has no types
from hcl2.api import loads
from hypothesis import given, settings
from hypothesis import strategies as st

from aws.setup.formats import CONTENT_TYPES, FILE_NAMES, FORMATS
from aws.setup.wanted import Wanted
from tests.support import programs
from tests.support.plans import ABROAD, PLANS, REGISTRY, cluster, wish

_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=30)


@st.composite
def hostile(draw: st.DrawFn) -> Wanted:
    """Names as no cluster should have them: whatever stands in them, it is no code."""
    name = draw(_TEXTS)
    member = cluster(name, audience=draw(_TEXTS), issuer="https://a.example.com/" + draw(_TEXTS))
    return replace(wish(member, registries=(REGISTRY,)), organisation=draw(_TEXTS))


@pytest.fixture(params=list(PLANS.values()), ids=list(PLANS))
def wanted(request: pytest.FixtureRequest) -> Wanted:
    found: Wanted = request.param
    return found


def test_every_format_has_a_type_and_a_file_name() -> None:
    assert set(FORMATS) == set(CONTENT_TYPES) == set(FILE_NAMES)


def test_cloudformation_has_nothing_to_say_against_the_template(wanted: Wanted) -> None:
    assert [] == lint(FORMATS["cloudformation"](wanted))


def test_bash_reads_the_script(wanted: Wanted) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=FORMATS["cli"](wanted), text=True, capture_output=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)


def test_terraform_would_format_it_so(wanted: Wanted) -> None:
    terraform = programs.find("terraform")
    if terraform is None:
        pytest.skip("terraform is not here")
    text = FORMATS["terraform"](wanted)
    done = subprocess.run([terraform, "fmt", "-"], input=text, text=True, capture_output=True, check=False)
    assert (0, text) == (done.returncode, done.stdout)


def test_neighbours_are_aligned_and_what_spans_lines_stands_alone() -> None:
    text = FORMATS["terraform"](PLANS["one cluster"])
    assert '  max_session_duration = 3600\n  description          = "Made' in text
    assert '  assume_role_policy = jsonencode({\n    Version = "2012-10-17"\n    Statement = [{\n' in text


def test_json_holds_documents_and_not_texts_of_them() -> None:
    found = json.loads(FORMATS["json"](PLANS["narrowed and widened"]))
    assert {"account", "partition", "oidcProviders", "role", "nodeRole", "otherAccounts"} == set(found)
    for policy in (
        found["role"]["trustPolicy"],
        *found["role"]["inlinePolicies"].values(),
        found["nodeRole"]["trustPolicy"],
        found["otherAccounts"][0]["registryPolicy"],
        found["otherAccounts"][0]["repositoryPolicy"],
    ):
        assert "2012-10-17" == policy["Version"]
        assert isinstance(policy["Statement"], list)


@pytest.mark.parametrize("form", FORMATS)
def test_what_the_owner_of_another_registry_has_to_do_is_in_every_format(form: str) -> None:
    account = ABROAD.partition(".")[0]
    text = FORMATS[form](PLANS["narrowed and widened"])
    assert f"arn:aws:ecr:us-east-1:{account}:repository/web" in text
    assert "V2" in text  # the scope, without which a registry policy says nothing of pulls
    assert 2 == text.count("PullpassPull")  # a policy for the registry, and one for each repository
    assert account not in FORMATS[form](PLANS["one cluster"])


@pytest.mark.parametrize("form", FORMATS)
def test_equal_plans_give_equal_text(form: str) -> None:
    one, other = wish(cluster("a"), cluster("b")), wish(cluster("b"), cluster("a"))
    assert FORMATS[form](one) == FORMATS[form](other)


@settings(max_examples=150, deadline=None)
@given(hostile())
def test_the_shell_gives_aws_exactly_the_documents(wanted: Wanted) -> None:
    words = shlex.split(FORMATS["cli"](wanted), comments=True)
    documents = [json.loads(word) for word in words if word.startswith('{"Version"')]
    assert [wanted.trust_policy, wanted.trust_policy, wanted.inline_policy] == documents[:3]
    assert wanted.providers[0].url in words
    audience = wanted.providers[0].audiences[0]
    assert audience in words or json.dumps([audience]) in words


@settings(max_examples=150, deadline=None)
@given(hostile())
def test_the_template_holds_exactly_the_documents(wanted: Wanted) -> None:
    role = yaml.safe_load(FORMATS["cloudformation"](wanted))["Resources"]["PullRole"]["Properties"]
    assert wanted.trust_policy == role["AssumeRolePolicyDocument"]
    assert [wanted.inline_policy] == [policy["PolicyDocument"] for policy in role["Policies"]]


@settings(max_examples=100, deadline=None)
@given(hostile())
def test_no_name_gets_out_of_its_place_in_terraform(wanted: Wanted) -> None:
    found: Any = loads(FORMATS["terraform"](wanted))
    kinds = [kind for each in found["resource"] for kind in each]
    plain: Any = loads(FORMATS["terraform"](PLANS["one cluster"]))
    assert [kind for each in plain["resource"] for kind in each] == kinds
    assert {"terraform", "variable", "resource", "output"} == set(found)
