"""`pullpass rotate-keys`: seals every stored connection with the newest key, so that an old one can be thrown away."""

from __future__ import annotations

import click

from cli import settings, wiring
from fleet import connections


@click.command(name="rotate-keys")
def rotate_keys() -> None:
    """Seal every connection again with the first key.

    Put a new key before the old ones (file or PULLPASS_SEALING_KEYS), restart the hub, run this, then take the
    old keys out.
    """
    database = wiring.open_database(settings.read())
    try:
        count = connections.reseal(database)
    finally:
        database.close()
    click.echo(f"{count} connections sealed with the newest key")
