"""`make run` as a newcomer meets it: one command, three clusters, and awsECR becomes Ready."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from tests.support import processes
from tests.support.playground import ROLE, TOKEN, Playground, running


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with running(tmp_path_factory.mktemp("playground")) as playground:
        yield playground


def test_it_prints_the_address_the_token_and_commands_to_try(playground: Playground) -> None:
    said = playground.log.read_text()
    assert [True, True, 3] == [
        f"127.0.0.1:{playground.port}" in said,
        TOKEN in said,
        said.count("pullpass clusters get") + said.count("doctor demo"),
    ]


def test_awsecr_enabled_on_the_healthy_cluster_becomes_ready(playground: Playground) -> None:
    wish = {"spec": {"addOns": {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE}}}}
    playground.call("PATCH", "/demo", wish)
    playground.wait(lambda: playground.add_on("demo").get("state") == "Ready", "Ready")
    assert "agent" == playground.add_on("demo")["credentials"]["verifiedFrom"]


def test_the_private_issuer_is_named_with_a_remedy(playground: Playground) -> None:
    playground.wait(lambda: playground.add_on("edge").get("issues"), "an issue")
    assert ["IssuerNotUsable"] == [issue["code"] for issue in playground.add_on("edge")["issues"]]


def test_the_cluster_that_is_down_is_named(playground: Playground) -> None:
    playground.wait(lambda: playground.add_on("down").get("issues"), "an issue")
    assert ["ClusterUnreachable"] == [issue["code"] for issue in playground.add_on("down")["issues"]]


def test_ctrl_c_ends_all_of_it_and_a_second_start_keeps_the_data(playground: Playground) -> None:
    assert 0 == playground.stop()
    with pytest.raises(urllib3.exceptions.HTTPError):
        playground.call("GET", "")
    playground.start()
    playground.wait(lambda: playground.add_on("demo").get("state") == "Ready", "Ready again")


def test_killed_it_leaves_nothing_running(playground: Playground) -> None:
    """Neither hub nor controller, nor an agent of the sandbox."""
    process = playground.process
    assert process is not None

    def started() -> dict[int, str]:
        found = processes.descendants(process.pid)
        return {one: Path(f"/proc/{one}/cmdline").read_bytes().replace(b"\0", b" ").decode() for one in found}

    playground.wait(lambda: any("agent cluster" in command for command in started().values()), "an agent")
    before = started()
    assert [] == [part for part in ("cli serve", "cli controller") if part not in str(before)]
    process.kill()
    process.wait()
    processes.wait_until_gone(before)
