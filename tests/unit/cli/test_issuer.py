"""`pullpass issuer`, against the real API."""

from __future__ import annotations

from fleet import issuers
from tests.support.hub import manifest
from tests.unit.cli.served import Shell, rows


def changed_keys(shell: Shell) -> str:
    """Keys of the cluster that wait for an admin, by their fingerprint."""
    shell.hub.put(manifest())
    uid = shell.hub.stored("demo").uid
    issuers.reserve(shell.hub.database, uid)
    issuers.observe(shell.hub.database, uid, {"keys": [{"kid": "old"}]})
    found = issuers.observe(shell.hub.database, uid, {"keys": [{"kid": "new"}]})
    assert found.pending_keys is not None
    return issuers.fingerprint(found.pending_keys)


def test_the_keys_that_wait_are_shown_by_their_fingerprint(shell: Shell) -> None:
    waiting = changed_keys(shell)
    ((_, url, served, shown),) = rows(shell.fine("issuer", "show", "demo"))
    assert url.startswith("https://")
    assert waiting == shown != served


def test_the_keys_that_are_named_are_accepted(shell: Shell) -> None:
    shell.fine("issuer", "accept", "demo", changed_keys(shell))
    found = shell.read("issuer", "show", "demo")
    assert (None, {"old", "new"}) == (found["pendingKeys"], {key["kid"] for key in found["keys"]["keys"]})


def test_keys_that_nobody_saw_are_not_accepted(shell: Shell) -> None:
    changed_keys(shell)
    assert 1 == shell.pullpass("issuer", "accept", "demo", "another").exit_code


def test_the_issuer_of_a_cluster_deleted_by_force_is_forgotten_by_the_printed_command(shell: Shell) -> None:
    changed_keys(shell)
    printed = shell.fine("clusters", "delete", "demo", "--force", "--yes")
    command = next(line for line in printed.splitlines() if "pullpass issuer forget" in line)
    words = command.partition("pullpass ")[2].split()
    shell.fine(*words)
    assert 1 == shell.pullpass(*words).exit_code


def test_where_nothing_is_published_there_is_nothing_to_show(shell: Shell) -> None:
    shell.hub.put(manifest())
    result = shell.pullpass("issuer", "show", "demo")
    assert (1, True) == (result.exit_code, "nothing is published for demo" in result.stderr)
