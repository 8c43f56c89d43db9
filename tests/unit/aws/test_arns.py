"""Role ARNs: what is taken, in every partition, and what is refused with which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.arns import PARTITIONS, RoleArn, parse_role
from schemas.addons.schema import ROLE_ARN

_names = st.from_regex(r"[A-Za-z0-9_+=,.@-]{1,64}", fullmatch=True)
_paths = st.lists(st.from_regex(r"[!-~]{1,20}", fullmatch=True), max_size=3).map(
    lambda parts: "/" + "".join(f"{part}/" for part in parts)
)


@given(
    partition=st.sampled_from(PARTITIONS),
    account=st.from_regex(r"[0-9]{12}", fullmatch=True),
    path=_paths,
    name=_names,
)
def test_what_is_written_is_read_back(partition: str, account: str, path: str, name: str) -> None:
    role = RoleArn(partition=partition, account=account, path=path, name=name)
    assert role == parse_role(str(role))


@given(st.from_regex(ROLE_ARN, fullmatch=True))
def test_what_the_manifest_takes_is_read(text: str) -> None:
    assert text == str(parse_role(text))


def test_a_role_without_path_has_the_root_path() -> None:
    expected = RoleArn(partition="aws", account="123456789012", path="/", name="pull")
    assert expected == parse_role("arn:aws:iam::123456789012:role/pull")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not an ARN"),
        ("pull", "not an ARN"),
        ("arn:aws:iam::123456789012", "not an ARN"),
        ("ARN:aws:iam::123456789012:role/pull", "not an ARN"),
        ("arn:azure:iam::123456789012:role/pull", "unknown AWS partition 'azure'"),
        ("arn:aws:sts::123456789012:assumed-role/pull/me", "an ARN of service 'sts'"),
        ("arn:aws:iam:eu-west-1:123456789012:role/pull", "no region"),
        ("arn:aws:iam::12345678901:role/pull", "12 digits"),
        ("arn:aws:iam::12345678901²:role/pull", "12 digits"),
        ("arn:aws:iam::123456789012:user/pull", "an ARN of an IAM user"),
        ("arn:aws:iam::123456789012:role", "expected role/NAME"),
        ("arn:aws:iam::123456789012:", "expected role/NAME"),
        ("arn:aws:iam::123456789012:role/", "role name ''"),
        ("arn:aws:iam::123456789012:role/pull\n", "role name"),
        ("arn:aws:iam::123456789012:role/" + "a" * 65, "role name"),
        ("arn:aws:iam::123456789012:role//pull", "role path"),
        ("arn:aws:iam::123456789012:role/a b/pull", "role path"),
        ("arn:aws:iam::123456789012:role/" + "a" * 512 + "/pull", "role path"),
    ],
)
def test_what_is_no_role_is_refused_in_words(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=r"^.+$") as refusal:
        parse_role(text)
    assert word in str(refusal.value)
