from __future__ import annotations

import json
from typing import Any

import click
import pytest
import yaml

from cli import output

ROWS: list[dict[str, Any]] = [{"name": "demo", "expires": None}, {"name": "edge", "expires": "2026-12-01"}]


def test_off_a_terminal_rows_are_plain_columns(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(ROWS, "table", empty="nothing")
    assert "demo\t\nedge\t2026-12-01\n" == capsys.readouterr().out


def test_json_holds_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(ROWS, "json", empty="nothing")
    assert ROWS == json.loads(capsys.readouterr().out)


def test_yaml_holds_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(ROWS, "yaml", empty="nothing")
    assert ROWS == yaml.safe_load(capsys.readouterr().out)


def test_an_empty_list_says_what_to_do_next_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output.show([], "table", empty="issue one first")
    captured = capsys.readouterr()
    assert ("", "issue one first\n") == (captured.out, captured.err)


def test_names_alone_are_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(ROWS, "name", empty="nothing")
    assert "demo\nedge\n" == capsys.readouterr().out


def test_no_names_are_no_words_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    output.show([], "name", empty="nothing")
    captured = capsys.readouterr()
    assert ("", "") == (captured.out, captured.err)


def test_a_table_has_a_header_and_aligned_columns() -> None:
    shown = click.unstyle(output.table(ROWS)).splitlines()
    assert ["NAME   EXPIRES", "demo   -", "edge   2026-12-01"] == shown


def test_a_state_has_its_colour_and_other_words_have_none() -> None:
    assert (True, False) == ("\x1b" in output.coloured("Failed"), "\x1b" in output.coloured("failed"))
