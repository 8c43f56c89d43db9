"""One manifest sent to the hub, or only what it would change: in the hub, and in the cluster itself.

The cluster's half is the controller's to find out (the API dials nobody): it applies every object of the new manifest
with Kubernetes' own `dryRun=All` and says how each would differ. Called by `pullpass clusters apply`.
"""

from __future__ import annotations

import click

from cli import errands, manifest_files
from cli.hub import Hub
from cli.manifest_files import Manifest


def put(hub: Hub, manifest: Manifest) -> str:
    """Creates or replaces; the word for what happened: created, updated or unchanged."""
    before = hub.find(hub.cluster(manifest.name))
    after = hub.request("PUT", hub.clusters, manifest.body)
    if before is None or before["id"] != after["id"]:
        return "created"
    return "unchanged" if before["version"] == after["version"] else "updated"


def preview(hub: Hub, manifest: Manifest, *, timeout_seconds: float) -> None:
    """Prints what would change; the hub checks the manifest first, whole.

    Raises:
        cli.hub.HubError: the hub refuses it.
    """
    hub.request("PUT", f"{hub.clusters}?dryRun=true", manifest.body)
    stored = hub.find(hub.cluster(manifest.name))
    wished = dict(manifest.body)
    if stored is not None and "settings" not in wished:
        wished["settings"] = stored["settings"]  # a write without settings keeps them
    before = None if stored is None else manifest_files.wishes(stored)
    changed = manifest_files.difference(before, manifest_files.wishes(wished), title=manifest.name)
    if changed:
        click.echo(changed)
    else:
        click.echo(f"{manifest.name}: the manifest would not change", err=True)
    if stored is None:
        click.echo(f"{manifest.name}: the hub does not know it yet, so nothing is in it to change", err=True)
    elif not stored["status"].get("connected"):
        click.echo(f"{manifest.name}: not connected, so its objects cannot be compared", err=True)
    else:
        _of_objects(hub, manifest, timeout_seconds)


def _of_objects(hub: Hub, manifest: Manifest, timeout_seconds: float) -> None:
    result = errands.run(hub, manifest.name, "-preview", manifest.body, timeout_seconds=timeout_seconds)
    if result.get("error"):
        click.echo(f"{manifest.name}: its objects cannot be compared: {result['error']}", err=True)
        return
    for change in result["changes"]:
        title = "/".join(part for part in (change["kind"], change["namespace"], change["name"]) if part)
        click.echo(
            manifest_files.difference(change["before"], change["after"], title=f"{manifest.name}: {title}")
        )
    for note in result.get("notes", ()):
        click.echo(f"{manifest.name}: {note}", err=True)
    if not result["changes"]:
        click.echo(f"{manifest.name}: no object in the cluster would change", err=True)
