"""Signing in, several hubs, and which of them a command speaks to."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from tests.unit.cli.served import Shell, rows

NOTHING_SET = {"PULLPASS_ENDPOINT": None, "PULLPASS_ORG": None, "PULLPASS_TOKEN": None}


def sign_in(shell: Shell, *options: str, token: str | None = None) -> Any:
    arguments = ["login", shell.endpoint, "--org", "acme", *options]
    return shell.pullpass(*arguments, stdin=f"{token or shell.hub.viewer}\n", environment=NOTHING_SET)


def config(shell: Shell) -> Path:
    return Path(shell.environment["XDG_CONFIG_HOME"]) / "pullpass" / "config.json"


def test_after_signing_in_nothing_else_is_needed(shell: Shell) -> None:
    assert 0 == sign_in(shell).exit_code
    assert 0 == shell.pullpass("clusters", environment=NOTHING_SET).exit_code


def test_the_token_is_readable_by_its_owner_alone(shell: Shell) -> None:
    sign_in(shell)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (config(shell), config(shell).parent)]
    assert [0o600, 0o700] == modes
    assert shell.hub.viewer in config(shell).read_text()


def test_a_token_that_the_hub_does_not_know_is_not_stored(shell: Shell) -> None:
    result = sign_in(shell, token="pp_wrong")
    assert (1, False) == (result.exit_code, config(shell).exists())
    assert "do: pullpass login" in result.output


def test_the_token_of_another_organisation_is_not_stored(shell: Shell) -> None:
    assert (1, False) == (sign_in(shell, token=shell.hub.stranger).exit_code, config(shell).exists())


def test_an_address_that_is_none_is_wrong_usage(shell: Shell) -> None:
    result = shell.pullpass("login", "pullpass.example.com", "--org", "acme", environment=NOTHING_SET)
    assert (2, True) == (result.exit_code, "https://" in result.output)


def test_hubs_are_listed_without_their_tokens_and_used_by_name(shell: Shell) -> None:
    sign_in(shell, "--name", "one")
    sign_in(shell, "--name", "two")
    listed = shell.fine("contexts", "list")
    assert [["", "one"], ["*", "two"]] == [row[:2] for row in rows(listed)]
    assert shell.hub.viewer not in listed
    shell.fine("contexts", "use", "one")
    assert "one" == json.loads(config(shell).read_text())["current"]


def test_a_hub_that_is_forgotten_is_not_used_any_more(shell: Shell) -> None:
    sign_in(shell, "--name", "one")
    shell.fine("contexts", "delete", "one")
    result = shell.pullpass("clusters", environment=NOTHING_SET)
    assert (2, True) == (result.exit_code, "pullpass login" in result.output)


def test_an_unknown_hub_is_wrong_usage_and_the_known_ones_are_named(shell: Shell) -> None:
    sign_in(shell, "--name", "one")
    result = shell.pullpass("clusters", "--hub", "prod", environment=NOTHING_SET)
    assert (2, True) == (result.exit_code, "known: one" in result.output)


def test_the_environment_wins_over_the_hub_in_use(shell: Shell) -> None:
    sign_in(shell, "--name", "one")
    result = shell.pullpass(
        "clusters", environment={**NOTHING_SET, "PULLPASS_TOKEN": "pp_from_the_environment"}
    )
    assert (1, True) == (result.exit_code, "401" in result.output)


def test_a_stored_token_is_never_sent_to_another_address(shell: Shell) -> None:
    sign_in(shell, "--name", "one")
    elsewhere = {**NOTHING_SET, "PULLPASS_ENDPOINT": "http://127.0.0.1:9", "PULLPASS_ORG": "acme"}
    result = shell.pullpass("clusters", environment=elsewhere)
    assert (2, True) == (result.exit_code, "PULLPASS_TOKEN" in result.output)


def test_a_named_hub_and_another_address_are_refused_together(shell: Shell) -> None:
    sign_in(shell, "--name", "one")
    elsewhere = {**NOTHING_SET, "PULLPASS_ENDPOINT": "http://127.0.0.1:9"}
    result = shell.pullpass("clusters", "--hub", "one", environment=elsewhere)
    assert (2, True) == (result.exit_code, "PULLPASS_ENDPOINT is http://127.0.0.1:9" in result.output)


def test_a_file_that_cannot_be_understood_is_named(shell: Shell) -> None:
    sign_in(shell)
    config(shell).write_text("{")
    result = shell.pullpass("clusters", environment=NOTHING_SET)
    assert (1, True) == (result.exit_code, str(config(shell)) in result.output)
