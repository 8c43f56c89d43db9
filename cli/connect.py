"""`pullpass connect`, `reconnect`: gives the hub a narrow account of its own in a cluster, with the user's own admin context.

It installs the rights of `controller.rights` (fixed names, documented in docs/reference/rights.md), asks for a token
of the hub's service account and uploads only that. The user's own credential never leaves this machine.
"""

from __future__ import annotations

import sys
from datetime import UTC
from pathlib import Path
from typing import Any

import click
import yaml

from cli import session
from cli.hub import Hub
from controller import rights
from kube.client import Access, Client
from kube.errors import Forbidden, KubeError
from schemas.agent_documents import HUB_ACCOUNT, NAMESPACE_NAME

TOKEN_SECONDS = 30 * 24 * 3600


_CONTEXT = click.option(
    "--context", help="The kubeconfig context of an admin of the cluster; default: the current one."
)
_KUBECONFIG = click.option(
    "--kubeconfig", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Default: as kubectl."
)
_YES = click.option("-y", "--yes", is_flag=True, help="Do not ask before installing.")


def _print_rights(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Needs no hub, so it ends the command before anything else is asked for."""
    if wanted and not context.resilient_parsing:
        click.echo(yaml.safe_dump_all(rights.objects(), sort_keys=False), nl=False)
        context.exit()


@click.command()
@session.cluster_argument
@_CONTEXT
@_KUBECONFIG
@click.option(
    "--server", help="The API server's address as the hub reaches it, where it differs from the context's."
)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML with the connection's settings: proxy, timeoutSeconds, agentImage, aws endpoints, …",
)
@click.option(
    "--print",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_rights,
    help="Print what would be installed as YAML and stop.",
)
@_YES
@session.options
def connect(
    *,
    hub: Hub,
    name: str,
    context: str | None,
    kubeconfig: Path | None,
    server: str | None,
    settings_file: Path | None,
    yes: bool,
) -> None:
    """Connect cluster NAME to the hub."""
    hub.request("GET", hub.cluster(name))  # first: a cluster that the hub does not know must not be touched
    access = access_of(context, kubeconfig)
    body = {"server": server or access.server, "settings": _settings(settings_file)}
    _upload(hub, name, access, body, yes=yes)


@click.command()
@session.cluster_argument
@_CONTEXT
@_KUBECONFIG
@_YES
@session.options
def reconnect(*, hub: Hub, name: str, context: str | None, kubeconfig: Path | None, yes: bool) -> None:
    """Give the hub a new token for cluster NAME, and its rights again; address and settings stay."""
    cluster = hub.request("GET", hub.cluster(name))
    if not cluster["status"].get("connected"):
        raise click.ClickException(f"{name} is not connected\n  do: pullpass connect {name}")
    _upload(hub, name, access_of(context, kubeconfig), {}, yes=yes)


def access_of(context: str | None, kubeconfig: Path | None) -> Access:
    """How an admin's context reaches the cluster.

    Raises:
        click.ClickException: there is no such context, or it cannot be used.
    """
    from kube.kubeconfig import access_from_kubeconfig  # noqa: PLC0415 - the official client is slow to load

    try:
        return access_from_kubeconfig(str(kubeconfig) if kubeconfig else None, context)
    except KubeError as error:
        raise click.ClickException(f"kubeconfig: {error}") from error


def _upload(hub: Hub, name: str, access: Access, body: dict[str, Any], *, yes: bool) -> None:
    if not yes and sys.stdin.isatty():
        click.confirm(
            f"Install namespace {NAMESPACE_NAME}, the hub's account and its roles into {access.server}?",
            abort=True,
        )
    try:
        client = Client(access)
        try:
            install(client)
            issued = client.request_token(
                NAMESPACE_NAME, HUB_ACCOUNT, audiences=[], expiration_seconds=TOKEN_SECONDS
            )
        finally:
            client.close()
    except Forbidden as error:
        raise click.ClickException(f"this context may not install the hub's rights: {error}") from error
    except KubeError as error:
        raise click.ClickException(f"the cluster did not take it: {error}") from error
    body |= {
        "token": issued.token,
        "expiresAt": issued.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if access.certificate_authority and "server" in body:
        body["certificateAuthority"] = access.certificate_authority
    hub.request("PUT", hub.cluster(name, "-connection"), body)
    click.echo(
        f"{hub.org}/{name} is connected; the hub renews its token before {issued.expires_at:%Y-%m-%d %H:%M} UTC."
    )


def install(client: Client) -> None:
    """Applies every object of `controller.rights`; running it again changes nothing."""
    for obj in rights.objects():
        client.apply(obj)


def _settings(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    loaded = yaml.safe_load(file.read_text())
    if not isinstance(loaded, dict):
        raise click.UsageError(f"{file} holds no mapping of settings")
    return loaded
