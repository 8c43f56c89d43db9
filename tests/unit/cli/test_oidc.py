from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import wiring
from cli.main import main
from fleet import clusters, issuers
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import ClusterKey, Principal, PublishedIssuer, Role

KEYS = {"keys": [{"kty": "RSA", "kid": "one", "alg": "RS256", "use": "sig", "n": "AQAB", "e": "AQAB"}]}


@pytest.fixture
def issuer(database: Database) -> PublishedIssuer:
    principal = Principal("id", "me", "acme", Role.ADMIN)
    manifest = {"kind": "mk8s", "name": "edge", "spec": {"version": "1.34.4", "provider": {"generic": {}}}}
    written = clusters.create(
        database, principal, ClusterKey("acme", "edge"), Wish(manifest), now=wiring.now()
    )
    issuers.reserve(database, written.cluster.uid)
    return issuers.observe(database, written.cluster.uid, KEYS)


def test_exported_files_are_what_aws_asks_for(
    runner: CliRunner, issuer: PublishedIssuer, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    assert 0 == runner.invoke(main, ["oidc", "export", str(site)]).exit_code
    discovery = json.loads((site / "oidc" / issuer.id / ".well-known" / "openid-configuration").read_text())
    assert f"https://pullpass.example.com/oidc/{issuer.id}" == discovery["issuer"]
    keys = site / discovery["jwks_uri"].removeprefix("https://pullpass.example.com/")
    assert ["one"] == [key["kid"] for key in json.loads(keys.read_text())["keys"]]


def test_exporting_again_leaves_no_half_written_file(
    runner: CliRunner, issuer: PublishedIssuer, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    for _ in range(2):
        runner.invoke(main, ["oidc", "export", str(site)])
    assert {"openid-configuration", "jwks"} == {path.name for path in site.rglob("*") if path.is_file()}


def test_without_a_public_address_there_is_nothing_to_export(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PULLPASS_PUBLIC_URL")
    result = runner.invoke(main, ["oidc", "export", str(tmp_path / "site")])
    assert (2, True) == (result.exit_code, "PULLPASS_PUBLIC_URL" in result.output)
