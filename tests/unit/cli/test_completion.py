from __future__ import annotations

import pytest
from click.testing import CliRunner

from cli.main import main
from tests.support.hub import manifest
from tests.unit.cli.served import Shell


def complete(shell: Shell, words: str) -> list[str]:
    environment = {
        "_PULLPASS_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    found = CliRunner().invoke(
        main, [], prog_name="pullpass", complete_var=None, env={**shell.environment, **environment}
    )
    return [line.partition(",")[2] for line in found.output.splitlines() if line]


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell_name: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell_name])
    assert (0, True) == (result.exit_code, "_PULLPASS_COMPLETE" in result.stdout)


def test_commands_are_completed(shell: Shell) -> None:
    assert ["clusters"] == complete(shell, "pullpass cl")


def test_names_of_clusters_are_completed_from_the_hub(shell: Shell) -> None:
    shell.hub.put(manifest("shop-one"))
    shell.hub.put(manifest("edge"))
    assert ["shop-one"] == complete(shell, "pullpass clusters get sh")


def test_a_hub_that_does_not_answer_completes_nothing_and_says_nothing(shell: Shell) -> None:
    away = Shell(shell.hub, "", {**shell.environment, "PULLPASS_ENDPOINT": "http://127.0.0.1:9"})
    assert [] == complete(away, "pullpass clusters get sh")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pullpass clusters list --state De", ["Degraded"]),
        ("pullpass clusters list --issue oidcP", ["OidcProviderMissing"]),
        ("pullpass clusters wait demo --for r", ["Ready", "Reachable"]),
        ("pullpass explain Trustpolicym", ["TrustPolicyMismatch"]),
    ],
)
def test_words_of_the_hubs_language_are_completed(shell: Shell, words: str, expected: list[str]) -> None:
    assert expected == complete(shell, words)
