from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.node.kubelet_flags import Style, flags, foreign_arguments, merge, unmerge

LAW = settings(max_examples=60, deadline=None)  # a law holds however busy the machine is
BIN, CONFIG = "/var/lib/pullpass/bin", "/var/lib/pullpass/credential-provider.yaml"
OURS = flags(BIN, CONFIG)
styles = st.sampled_from(["environment", "lines"])
lines = st.sampled_from(
    [
        "# a remark",
        "; another",
        "",
        "OTHER=1",
        "KUBELET_EXTRA_ARGS=",
        "KUBELET_EXTRA_ARGS=--node-ip=10.0.0.1",
        'KUBELET_EXTRA_ARGS="--node-ip=10.0.0.1 --v=2"',
        "KUBELET_EXTRA_ARGS='--node-labels=a=b'",
        "--max-pods=50",
    ]
)


@st.composite
def files(draw: st.DrawFn) -> str:
    text = "\n".join(draw(st.lists(lines, max_size=5)))
    return text + draw(st.sampled_from(["", "\n"]))


@LAW
@given(files(), styles)
def test_taking_out_what_was_put_in_leaves_every_byte(text: str, style: Style) -> None:
    assert text == unmerge(merge(text, style, BIN, CONFIG), style)


@LAW
@given(files(), styles)
def test_putting_in_twice_is_putting_in_once(text: str, style: Style) -> None:
    once = merge(text, style, BIN, CONFIG)
    assert once == merge(once, style, BIN, CONFIG)


@LAW
@given(files())
def test_no_flag_that_was_set_is_lost(text: str) -> None:
    before = (foreign_arguments(text) or "").split()
    assert [*before, *OURS] == (foreign_arguments(merge(text, "environment", BIN, CONFIG)) or "").split()


@pytest.mark.parametrize("style", ["environment", "lines"])
def test_a_file_that_was_not_there_goes_without_a_trace(style: Style) -> None:
    assert unmerge(merge(None, style, BIN, CONFIG), style) is None


@pytest.mark.parametrize("style", ["environment", "lines"])
def test_an_empty_file_stays(style: Style) -> None:
    assert "" == unmerge(merge("", style, BIN, CONFIG), style)


@LAW
@given(files(), styles)
def test_a_line_that_others_add_afterwards_stays(text: str, style: Style) -> None:
    left = unmerge(merge(text, style, BIN, CONFIG) + "ADDED=1\n", style)
    assert left is not None
    assert left.endswith("ADDED=1\n")
    assert text.split() == left.removesuffix("ADDED=1\n").split()


def test_a_flag_that_others_put_into_our_line_stays() -> None:
    merged = merge("KUBELET_EXTRA_ARGS=--v=2\n", "environment", BIN, CONFIG)
    left = unmerge(merged.replace("--v=2 --image", "--v=2 --max-pods=9 --image"), "environment")
    assert "--v=2 --max-pods=9" == foreign_arguments(left or "")


def test_what_the_unit_sets_is_repeated_because_the_file_beats_it() -> None:
    merged = merge(None, "environment", BIN, CONFIG, "--node-ip=10.0.0.1")
    assert f"--node-ip=10.0.0.1 {' '.join(OURS)}" == foreign_arguments(merged)
    assert unmerge(merged, "environment", "--node-ip=10.0.0.1") is None


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ('A="--a=\\"x y\\" --b"', '--a="x y" --b'),
        ("A='--a=\"x y\"'", '--a="x y"'),
        ('A=--a="x y"', '--a="x y"'),
        ("A=--a \\\n--b", "--a --b"),
        ("A=  --a  ", "--a"),
    ],
)
def test_a_value_is_read_as_systemd_reads_it(line: str, arguments: str) -> None:
    assert arguments == foreign_arguments(line.replace("A=", "KUBELET_EXTRA_ARGS="))


def test_quotes_inside_a_value_survive() -> None:
    merged = merge("KUBELET_EXTRA_ARGS='--node-labels=\"a=b c\"'\n", "environment", BIN, CONFIG)
    assert f'--node-labels="a=b c" {" ".join(OURS)}' == foreign_arguments(merged)
