"""`pullpass issuer`: what the hub publishes for a cluster with a private issuer, and an admin's yes to other keys."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from cli import output, session
from cli.hub import Hub


@click.group()
def issuer() -> None:
    """The issuer that the hub publishes for a cluster."""


@issuer.command()
@session.cluster_argument
@output.option
@session.options
def show(hub: Hub, name: str, output_format: str) -> None:
    """Show what the hub publishes for cluster NAME: its address, the keys served, and the keys that wait for an admin."""
    found = hub.request("GET", hub.cluster(name, "-issuer"))
    if output_format in {"json", "yaml"}:
        output.document(found, output_format)
        return
    row = {
        "name": found["id"],
        "url": found["url"],
        "keys": _fingerprint(found["keys"]),
        "waiting": _fingerprint(found["pendingKeys"]),
    }
    output.show([row], output_format, empty="")


@issuer.command()
@session.cluster_argument
@click.argument("fingerprint")
@session.options
def accept(hub: Hub, name: str, fingerprint: str) -> None:
    """Accept the keys of cluster NAME that wait, as an admin; the old ones stay served beside them.

    Only when you changed them: whoever holds these keys can sign as any workload of the cluster. FINGERPRINT is theirs, as
    the issue IssuerKeysChanged and `pullpass issuer show` say it.
    """
    hub.request("POST", hub.cluster(name, "-issuer", "accept"), {"fingerprint": fingerprint})
    click.echo(f"{name}: the keys {fingerprint} are accepted, and served beside the old ones")


@issuer.command()
@click.argument("issuer_id", metavar="ID")
@session.options
def forget(hub: Hub, issuer_id: str) -> None:
    """Stop serving the issuer of a cluster that was deleted with --force, once nothing uses its tokens any more."""
    hub.request("DELETE", f"/org/{quote(hub.org, safe='')}/-issuers/{quote(issuer_id, safe='')}")
    click.echo(f"the issuer {issuer_id} is served no more")


def _fingerprint(keys: Any) -> str | None:
    return keys["fingerprint"] if keys else None
