"""`pullpass clusters` over the real API: what it prints, sends, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from cli import clusters, following
from cli.hub import Hub, HubError
from fleet.standing import Standing
from reconcile.clock import Clock
from schemas.status import AddOnStatus, ClusterStatus, Condition, Issue, State
from tests.support.hub import CONNECTION, ISSUER, START, manifest
from tests.unit.cli.served import Shell, rows


def reported(generation: int, state: State = State.READY, *issues: Issue) -> ClusterStatus:
    well = "True" if state is State.READY else "False"
    reached = Condition("Reachable", "True", "Reachable", "the API server answers", START, generation)
    verified = Condition("CredentialsVerified", well, "Verified", "token and STS", START, generation)
    return ClusterStatus(
        observed_generation=generation,
        oidc_provider_url=ISSUER,
        conditions=(reached,),
        add_ons={
            "awsWorkloadIdentity": AddOnStatus(State.READY, (reached,)),
            "awsECR": AddOnStatus(state, (reached, verified), issues),
        },
    )


MISMATCH = Issue("TrustPolicyMismatch", "STS says no", "aws iam update-assume-role-policy --role-name ecr")


def connect(shell: Shell, name: str = "demo") -> int:
    shell.hub.put(manifest(name))
    shell.hub.call("PUT", f"/org/acme/mk8s/{name}/-connection", json=CONNECTION)
    return shell.hub.stored(name).generation


@pytest.fixture
def ready(shell: Shell) -> Shell:
    generation = connect(shell)
    shell.hub.report("demo", reported(generation))
    return shell


@pytest.fixture
def failing(shell: Shell) -> Shell:
    generation = connect(shell)
    shell.hub.report("demo", reported(generation, State.FAILED, MISMATCH))
    return shell


def test_without_a_command_it_lists(ready: Shell) -> None:
    assert [["demo", "Ready", "generic", "1.30.0"]] == [row[:4] for row in rows(ready.fine("clusters"))]


def test_the_options_of_the_list_go_without_its_name(ready: Shell) -> None:
    assert ["demo"] == ready.fine("clusters", "-o", "name").splitlines()


def test_a_list_goes_on_behind_the_first_page(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.clusters.PAGE_SIZE", 2)
    for number in range(5):
        shell.hub.put(manifest(f"demo-{number}"))
    assert 5 == len(shell.read("clusters", "list")["items"])


def test_a_list_is_narrowed_by_state_and_words(shell: Shell) -> None:
    shell.hub.put(manifest("shop"))
    connect(shell, "edge")
    assert "shop\n" == shell.fine("clusters", "list", "--state", "NotConnected", "-o", "name")
    assert "edge\n" == shell.fine("clusters", "list", "--text", "edge", "-o", "name")


def test_an_empty_list_says_how_to_begin_and_is_no_failure(shell: Shell) -> None:
    result = shell.pullpass("clusters")
    assert (0, "", True) == (result.exit_code, result.stdout, "clusters apply -f" in result.stderr)


def test_a_cluster_shows_its_state_steps_and_provider_url(ready: Shell) -> None:
    page = ready.fine("clusters", "get", "demo")
    assert all(words in page for words in ("demo  Ready", ISSUER, "✓ Verify a pull"))


def test_a_cluster_that_fails_shows_the_issue_and_its_remedy(failing: Shell) -> None:
    page = failing.fine("clusters", "get", "demo")
    assert "✗ Verify a pull" in page
    assert f"TrustPolicyMismatch: {MISMATCH.message}\n    do: {MISMATCH.remedy}" in page


def test_nothing_is_coloured_off_a_terminal(failing: Shell) -> None:
    assert "\x1b" not in failing.fine("clusters", "get", "demo")


def test_a_cluster_as_json_is_what_the_api_says(ready: Shell) -> None:
    assert ready.hub.show("demo") == ready.read("clusters", "get", "demo")


def test_a_cluster_as_yaml_can_be_applied_again(ready: Shell) -> None:
    exported = ready.fine("clusters", "get", "demo", "-o", "yaml")
    assert "demo unchanged\n" == ready.fine("clusters", "apply", "-f", "-", stdin=exported)


def test_a_whole_list_can_be_applied_again(ready: Shell) -> None:
    exported = ready.fine("clusters", "list", "-o", "yaml")
    assert "demo unchanged\n" == ready.fine("clusters", "apply", "-f", "-", stdin=exported)


def test_a_cluster_that_is_not_there_is_a_failure_that_says_where_and_what_to_do(shell: Shell) -> None:
    result = shell.pullpass("clusters", "get", "nobody")
    assert 1 == result.exit_code
    assert "acme/nobody does not exist" in result.stderr
    assert f"at: GET {shell.endpoint}/org/acme/mk8s/nobody (404" in result.stderr
    assert "do: pullpass clusters list" in result.stderr


def test_a_file_may_hold_several_manifests_and_a_folder_several_files(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "clusters"
    folder.mkdir()
    (folder / "a.yaml").write_text(yaml.safe_dump_all([manifest("one"), manifest("two")]))
    (folder / "b.json").write_text(json.dumps(manifest("three")))
    (folder / "notes.txt").write_text("not: [a manifest")
    told = shell.fine("clusters", "apply", "-f", str(folder))
    assert ["one created", "two created", "three created"] == told.splitlines()


def test_a_changed_manifest_updates(shell: Shell) -> None:
    shell.hub.put(manifest())
    changed = yaml.safe_dump(manifest(version="1.31.0"))
    assert "demo updated\n" == shell.fine("clusters", "apply", "-f", "-", stdin=changed)


def test_one_that_is_refused_keeps_no_other_back(shell: Shell) -> None:
    stream = yaml.safe_dump_all([manifest("one", provider={}), manifest("two")])
    result = shell.pullpass("clusters", "apply", "-f", "-", stdin=stream)
    assert (1, "two created\n") == (result.exit_code, result.stdout)
    assert "stdin: " in result.stderr
    assert "1 of 2 manifests were refused" in result.stderr


def test_a_mistake_in_the_yaml_names_file_and_line_and_nothing_is_sent(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text(yaml.safe_dump(manifest("one")) + "---\nname: two\nspec: [\n")
    result = shell.pullpass("clusters", "apply", "-f", str(file))
    assert 1 == result.exit_code
    line = len(file.read_text().splitlines()) + 1
    assert f"{file}: " in result.stderr
    assert f"line {line}" in result.stderr
    assert "" == shell.fine("clusters", "-o", "name")


def test_a_file_that_is_not_there_fails_with_its_name(shell: Shell) -> None:
    result = shell.pullpass("clusters", "apply", "-f", "nowhere.yaml")
    assert (1, True) == (result.exit_code, "nowhere.yaml: No such file" in result.stderr)


def test_a_dry_run_shows_what_would_change_and_stores_nothing(shell: Shell) -> None:
    shell.hub.put(manifest())
    before = shell.hub.stored("demo")
    told = shell.fine(
        "clusters", "apply", "--dry-run", "-f", "-", stdin=yaml.safe_dump(manifest(version="1.31.0"))
    )
    assert ["-  version: 1.30.0", "+  version: 1.31.0"] == [
        line for line in told.splitlines() if line[:2] in {"- ", "+ "}
    ]
    assert before == shell.hub.stored("demo")


def test_a_dry_run_of_what_the_hub_would_refuse_fails(shell: Shell) -> None:
    wrong = yaml.safe_dump(manifest(provider={}))
    assert 1 == shell.pullpass("clusters", "apply", "--dry-run", "-f", "-", stdin=wrong).exit_code


def test_a_dry_run_without_a_controller_ends_in_time_with_code_3(ready: Shell) -> None:
    changed = yaml.safe_dump(manifest(version="1.31.0"))
    result = ready.pullpass("clusters", "apply", "--dry-run", "--timeout", "0", "-f", "-", stdin=changed)
    assert (3, True) == (result.exit_code, "pullpass controller" in result.stderr)


def test_deleting_says_what_happens(ready: Shell) -> None:
    assert "demo is being removed\n" == ready.fine("clusters", "delete", "demo")


def test_forgetting_by_force_prints_what_remains(ready: Shell) -> None:
    told = ready.fine("clusters", "delete", "demo", "--force")
    assert "demo is gone" in told
    assert "do: kubectl" in told


def test_events_are_shown_oldest_first(ready: Shell) -> None:
    assert ["Created", "Connected"] == [row[2] for row in rows(ready.fine("clusters", "events", "demo"))]


def test_waiting_for_what_is_so_already_ends_at_once(ready: Shell) -> None:
    assert "demo  Ready\n" == ready.fine("clusters", "wait", "demo")


@pytest.mark.parametrize("goal", ["Reachable", "CredentialsVerified"])
def test_waiting_for_a_condition(ready: Shell, goal: str) -> None:
    assert 0 == ready.pullpass("clusters", "wait", "demo", "--for", goal, "--timeout", "0").exit_code


def test_what_is_not_ready_in_time_ends_with_code_3_and_the_remedy(failing: Shell) -> None:
    result = failing.pullpass("clusters", "wait", "demo", "--timeout", "0")
    assert 3 == result.exit_code
    assert MISMATCH.remedy in result.stderr


def test_a_change_that_nobody_acted_on_yet_is_not_ready(ready: Shell) -> None:
    ready.hub.put(manifest(version="1.31.0"))
    assert 3 == ready.pullpass("clusters", "wait", "demo", "--timeout", "0").exit_code


def test_waiting_for_a_cluster_without_add_ons_fails_at_once(shell: Shell) -> None:
    shell.hub.put(manifest(addOns={}))
    result = shell.pullpass("clusters", "wait", "demo")
    assert (1, True) == (result.exit_code, "pullpass addons enable demo" in result.stderr)


def test_waiting_until_a_cluster_is_gone(shell: Shell) -> None:
    assert 0 == shell.pullpass("clusters", "wait", "nobody", "--for=deleted").exit_code


def test_watching_goes_with_tables_only(ready: Shell) -> None:
    assert 2 == ready.pullpass("clusters", "get", "demo", "-w", "-o", "json").exit_code


def test_events_are_not_watched_as_json(ready: Shell) -> None:
    result = ready.pullpass("clusters", "events", "demo", "-w", "-o", "json")
    assert (2, "") == (result.exit_code, result.stdout)


def test_the_states_to_choose_from_are_the_hubs() -> None:
    (state,) = [option for option in clusters.list_clusters.params if option.name == "state"]
    assert isinstance(state.type, click.Choice)
    assert list(state.type.choices) == [str(standing) for standing in Standing]


def test_a_list_that_is_watched_off_a_terminal_says_each_change_on_a_line(
    ready: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.hub.put(manifest("other"))
    states = iter([State.READY, State.FAILED])

    def pause(_clock: Clock) -> None:
        """Until the next look; after the last somebody presses Ctrl-C."""
        state = next(states, None)
        if state is None:
            raise KeyboardInterrupt
        ready.hub.report("demo", reported(ready.hub.stored("demo").generation, state))

    monkeypatch.setattr(following, "pause", pause)
    done = ready.pullpass("clusters", "-w")
    columns = [row[:2] + row[4:] for row in rows(done.stdout)]  # no age, which changes with every look
    assert [["demo", "Ready", ""], ["other", "NotConnected", ""], ["demo", "Failed", ""]] == columns
    assert (0, "") == (done.exit_code, done.stderr)


def test_a_hub_that_is_away_for_a_moment_is_waited_for(
    failing: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([None, HubError("no answer"), None])
    ask = Hub.request

    def request(hub: Hub, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        trouble = next(answers)
        if trouble is not None:
            generation = failing.hub.stored("demo").generation
            failing.hub.report("demo", reported(generation))
            raise trouble
        return ask(hub, method, path, body)

    monkeypatch.setattr(Hub, "request", request)
    assert 0 == failing.pullpass("clusters", "wait", "demo", "--timeout", "20").exit_code


def test_a_hub_that_was_never_there_is_not_waited_for(shell: Shell) -> None:
    away = {"PULLPASS_ENDPOINT": "http://127.0.0.1:9"}
    result = shell.pullpass("clusters", "wait", "demo", environment=away)
    assert (1, True) == (result.exit_code, "no answer from http://127.0.0.1:9" in result.stderr)
