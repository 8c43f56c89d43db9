"""`pullpass doctor`, with somebody in the controller's place who answers at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from fleet import errands, shards
from schemas.status import AddOnStatus, Issue, State
from tests.support.hub import START, manifest, status
from tests.unit.cli.served import Shell


def hop(name: str, code: str = "") -> dict[str, Any]:
    words = f"{name} says no" if code else f"{name} is well"
    return {
        "name": name,
        "succeeded": not code,
        "code": code,
        "message": words,
        "remedy": f"mend {name}",
        "seconds": 0.1,
    }


GOOD = {
    "verifiedFrom": "hub",
    "walkedAt": "2026-11-22T12:00:00Z",
    "hops": [hop("api server")],
    "notWalked": [],
}
BAD = {
    **GOOD,
    "hops": [hop("api server"), hop("sts", "TrustPolicyMismatch")],
    "notWalked": ["ecr", "registry"],
}


@contextmanager
def answering(shell: Shell, result: dict[str, Any]) -> Iterator[None]:
    """Somebody who does every errand with `result`."""
    database = shell.hub.database
    shell.hub.put(manifest())
    epochs = shards.heartbeat(database, "test", now=START)
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            for errand in errands.waiting(database, epochs, now=START):
                epoch = epochs[errand.shard]
                errands.finish(database, errand.id, result, shard=errand.shard, epoch=epoch, now=START)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_chain_that_comes_through_is_printed_hop_by_hop(shell: Shell) -> None:
    with answering(shell, GOOD):
        told = shell.fine("doctor", "demo")
    assert "walked from the hub at 2026-11-22T12:00:00Z" in told
    assert "✓ api server   api server is well" in told
    assert "Nothing was proved from inside the cluster yet" in told


def test_what_nodes_and_other_identities_proved_stands_beside_the_walk(shell: Shell) -> None:
    issue = Issue("NodeRoleMayNotPull", "the role may not", "pullpass aws attach-node-role demo")
    details = {
        "nodes": {"ready": 2, "desired": 3},
        "credentials": {"verifiedAt": "2026-11-22T12:00:00Z", "verifiedFrom": "node"},
    }
    ecr = AddOnStatus(State.DEGRADED, issues=(issue,), details=details)
    with answering(shell, GOOD):
        shell.hub.report("demo", replace(status(), add_ons={"awsECR": ecr}))
        told = shell.fine("doctor", "demo").splitlines()
    assert "Seen from the node inside the cluster at 2026-11-22T12:00:00Z" in told
    assert "2 of 3 nodes get credentials themselves" in told
    assert "    do: pullpass aws attach-node-role demo" in told


def test_a_hop_that_does_not_let_through_ends_with_1_and_its_remedy(shell: Shell) -> None:
    with answering(shell, BAD):
        result = shell.pullpass("doctor", "demo")
    assert 1 == result.exit_code
    assert "✗ sts          TrustPolicyMismatch: sts says no\n    do: mend sts" in result.stdout
    assert "· registry     not walked" in result.stdout


def test_the_walk_as_json_says_who_walked_and_what_was_seen_inside(shell: Shell) -> None:
    with answering(shell, GOOD):
        document = shell.read("doctor", "demo")
    assert ("hub", None) == (document["verifiedFrom"], document["inside"]["credentials"])


def test_a_cluster_that_cannot_be_examined_says_why(shell: Shell) -> None:
    with answering(shell, {"error": "the cluster is gone"}):
        result = shell.pullpass("doctor", "demo")
    assert (1, True) == (result.exit_code, "cannot be examined: the cluster is gone" in result.stderr)


def test_without_a_controller_it_ends_in_time_with_3(shell: Shell) -> None:
    shell.hub.put(manifest())
    result = shell.pullpass("doctor", "demo", "--timeout", "0")
    assert (3, True) == (result.exit_code, "pullpass controller" in result.stderr)


def test_a_dry_run_prints_the_objects_that_would_change(shell: Shell) -> None:
    before, after = {"data": {"delivery": "auto"}}, {"data": {"delivery": "node"}}
    change = {"kind": "ConfigMap", "namespace": "ns", "name": "agent", "before": before, "after": after}
    with answering(shell, {"changes": [change], "notes": ["awsECR: waits"]}):
        shell.hub.call(
            "PUT",
            "/org/acme/mk8s/demo/-connection",
            json={"server": "https://demo.example.com", "token": "t", "expiresAt": "2026-12-22T05:40:00Z"},
        )
        exported = shell.fine("clusters", "get", "demo", "-o", "yaml")
        result = shell.pullpass("clusters", "apply", "--dry-run", "-f", "-", stdin=exported)
    assert 0 == result.exit_code, result.output
    assert "--- demo: ConfigMap/ns/agent (now)" in result.stdout
    assert "-  delivery: auto\n+  delivery: node" in result.stdout
    assert "demo: awsECR: waits" in result.stderr
