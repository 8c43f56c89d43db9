from __future__ import annotations

from pathlib import Path

import click
import pytest

from cli import settings


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_any_variable_everything_lies_in_the_data_directory() -> None:
    read = settings.read()
    assert f"sqlite:///{Path('.data').absolute()}/pullpass.db" == read.database_url
    assert Path(".data/sealing.key") == read.sealing_key_file


def test_the_port_is_chosen_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULLPASS_PORT", "9000")
    assert 9000 == settings.read().port


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PULLPASS_PORT", "many"),
        ("PULLPASS_PORT", "70000"),
        ("PULLPASS_TRUST_POLICY_QUOTA", "100"),
        ("PULLPASS_LOG_LEVEL", "loud"),
        ("PULLPASS_PUBLIC_URL", "http://pullpass.example.com"),
        ("PULLPASS_AWS_PRINCIPAL", "arn:aws:sts::111111111111:assumed-role/hub/i-1"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_variables_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(click.UsageError, match=name.removeprefix("PULLPASS_")):
        settings.read()


def test_a_slash_at_the_end_of_the_public_address_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULLPASS_PUBLIC_URL", "https://pullpass.example.com/")
    assert "https://pullpass.example.com" == settings.read().public_url
