"""`pullpass disconnect`: the hub forgets how to reach a cluster, and its account and rights go from the cluster.

The reverse of `pullpass connect`, with the user's own admin context again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cli import session
from cli.connect import access_of
from cli.hub import Hub
from controller import rights
from kube.client import Client
from kube.errors import KubeError
from kube.objects import kind_of
from schemas.agent_documents import NAMESPACE_NAME

_KEPT = "CustomResourceDefinition"  # people's own objects would go with it


@click.command()
@session.cluster_argument
@click.option(
    "--context", help="The kubeconfig context of an admin of the cluster; default: the current one."
)
@click.option(
    "--kubeconfig", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Default: as kubectl."
)
@click.option("--keep-rights", is_flag=True, help="Only the hub forgets; nothing is deleted in the cluster.")
@click.option(
    "--force", is_flag=True, help="Also while add-ons are enabled: their credentials run out unrenewed."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask; off a terminal nothing is asked.")
@session.options
def disconnect(
    *,
    hub: Hub,
    name: str,
    context: str | None,
    kubeconfig: Path | None,
    keep_rights: bool,
    force: bool,
    yes: bool,
) -> None:
    """Disconnect cluster NAME; the hub keeps its manifest."""
    cluster = hub.request("GET", hub.cluster(name))
    active = _active(cluster)
    if active and not force:
        raise click.ClickException(
            f"{name} still has {', '.join(active)}\n"
            f"  do: pullpass addons disable {name} {active[0]}, and wait until it is gone; or --force"
        )
    access = None if keep_rights else access_of(context, kubeconfig)
    if not yes and sys.stdin.isatty():
        where = (
            ""
            if access is None
            else f", and delete namespace {NAMESPACE_NAME} and the hub's roles in {access.server}"
        )
        click.confirm(f"Disconnect {name}{where}?", abort=True)
    hub.request("DELETE", hub.cluster(name, "-connection"))
    if access is not None:
        client = Client(access)
        try:
            uninstall(client)
        except KubeError as error:
            raise click.ClickException(
                f"the hub has forgotten {name}; the cluster did not let everything go: {error}\n"
                f"  do: pullpass disconnect {name} again, with another --context"
            ) from error
        finally:
            client.close()
    click.echo(f"{hub.org}/{name} is disconnected")


def uninstall(client: Client) -> None:
    """Deletes every object of `controller.rights`, the last installed first; what is gone already is fine."""
    for obj in reversed(rights.objects()):
        if obj["kind"] != _KEPT:
            metadata = obj["metadata"]
            client.delete(kind_of(obj), metadata["name"], namespace=metadata.get("namespace"))


def _active(cluster: Mapping[str, Any]) -> list[str]:
    """Add-ons that are enabled, or on their way out."""
    enabled = cluster["spec"].get("addOns") or {}
    known = {key for key, add_on in (cluster["status"].get("addOns") or {}).items() if "state" in add_on}
    return sorted(known | (set(enabled) & {"awsECR", "awsWorkloadIdentity"}))
