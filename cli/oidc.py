"""`pullpass oidc export`: published issuers as files, so that a bucket or CDN can serve them without the hub."""

from __future__ import annotations

import json
from pathlib import Path

import click

from addon_api.oidc import discovery_document, key_set
from cli import settings, wiring
from fleet import issuers


@click.group()
def oidc() -> None:
    """The issuers that this hub publishes for clusters whose own is private."""


@oidc.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def export(directory: Path) -> None:
    """Write each issuer's discovery document and key set below DIRECTORY.

    Serve DIRECTORY under PULLPASS_PUBLIC_URL with `Cache-Control: public, max-age=3600` and content type
    application/json. A file is replaced whole, so a copy under way never sees half of one.
    """
    configured = settings.read()
    if configured.public_url is None:
        raise click.UsageError(
            "set PULLPASS_PUBLIC_URL to the https:// address that DIRECTORY will be served under"
        )
    database = wiring.open_database(configured)
    count = 0
    try:
        for issuer in issuers.every(database):
            base = directory / "oidc" / issuer.id
            _replace(
                base / ".well-known" / "openid-configuration",
                discovery_document(configured.public_url, issuer),
            )
            _replace(base / "openid" / "v1" / "jwks", key_set(issuer))
            count += 1
    finally:
        database.close()
    click.echo(f"{count} issuers written to {directory}", err=True)


def _replace(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(document, sort_keys=True) + "\n")
    new.replace(path)
