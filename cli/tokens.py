"""`pullpass tokens`: who may speak to the API. Runs beside the database, because the first token has no token."""

from __future__ import annotations

import sys
from datetime import timedelta

import click

from cli import output, settings, wiring
from fleet import tokens as stored
from fleet.records import Role

ROLES = [role.name.lower() for role in Role]


@click.group()
def tokens() -> None:
    """Issue, list and revoke API tokens."""


@tokens.command()
@click.option("--org", required=True, help="The organisation that the token belongs to.")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
@click.option("--name", required=True, help="What or who uses it, for the audit log.")
@click.option("--days", type=click.IntRange(1, 3650), help="When it expires; without it, never.")
def issue(org: str, role: str, name: str, days: int | None) -> None:
    """Issue a token and print it, once."""
    database = wiring.open_database(settings.read())
    now = wiring.now()
    try:
        text = stored.issue(
            database,
            org=org,
            role=Role[role.upper()],
            name=name,
            now=now,
            expires_at=now + timedelta(days=days) if days else None,
        )
    finally:
        database.close()
    click.echo(text)
    if sys.stdout.isatty():
        click.echo("Shown this once; only its hash is stored.", err=True)


@tokens.command(name="list")
@click.option("--org", required=True)
@output.option
def list_tokens(org: str, output_format: str) -> None:
    """List the tokens of an organisation, never their text."""
    database = wiring.open_database(settings.read())
    try:
        records = stored.page(database, org)
    finally:
        database.close()
    output.show(
        [
            {
                "id": record.id,
                "name": record.name,
                "role": record.role.name.lower(),
                "created": record.created.isoformat(),
                "expires": record.expires_at.isoformat() if record.expires_at else None,
            }
            for record in records
        ],
        output_format,
        empty=f"No tokens in {org} yet: pullpass tokens issue --org {org} --role admin --name NAME",
    )


@tokens.command()
@click.argument("token_id", metavar="ID")
def revoke(token_id: str) -> None:
    """Revoke the token with this id (from `pullpass tokens list`)."""
    database = wiring.open_database(settings.read())
    try:
        if not stored.revoke(database, token_id):
            raise click.ClickException(f"there is no token {token_id}")
    finally:
        database.close()
