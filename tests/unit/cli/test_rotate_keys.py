from __future__ import annotations

import base64
from pathlib import Path

from click.testing import CliRunner

from cli import wiring
from cli.main import main
from fleet import clusters, connections
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import ClusterKey, Principal, Role
from fleet.sealing import Sealer
from schemas.connection import Connection

CONNECTION = Connection(server="https://demo.example.com", token="secret")


def test_after_a_rotation_the_old_key_is_needed_no_more(
    runner: CliRunner, database: Database, data: Path
) -> None:
    principal, key = Principal("id", "me", "acme", Role.ADMIN), ClusterKey("acme", "demo")
    manifest = {"kind": "mk8s", "name": "demo", "spec": {"version": "1.34.4", "provider": {"generic": {}}}}
    written = clusters.create(database, principal, key, Wish(manifest), now=wiring.now())
    connections.put(database, principal, key, CONNECTION, now=wiring.now())
    keys = data / "sealing.key"
    new = base64.b64encode(bytes(range(32))).decode()
    keys.write_text(f"{new}\n{keys.read_text()}")

    result = runner.invoke(main, ["rotate-keys"])

    assert "1 connections sealed with the newest key\n" == result.output
    later = Database(f"sqlite:///{data}/pullpass.db", sealer=Sealer.from_text(new))
    try:
        assert connections.read(later, written.cluster.uid) == CONNECTION
    finally:
        later.close()
