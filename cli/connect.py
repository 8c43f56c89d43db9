"""`pullpass connect`: gives the hub a narrow account of its own in a cluster, with the user's own admin context.

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

from cli.hub import Hub
from controller import rights
from kube.client import Client
from kube.errors import Forbidden, KubeError
from schemas.agent_documents import HUB_ACCOUNT, NAMESPACE_NAME

TOKEN_SECONDS = 30 * 24 * 3600


@click.command()
@click.argument("name")
@click.option(
    "--context", help="The kubeconfig context of an admin of the cluster; default: the current one."
)
@click.option(
    "--kubeconfig", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Default: as kubectl."
)
@click.option("--org", envvar="PULLPASS_ORG", required=True, help="Organisation (PULLPASS_ORG).")
@click.option(
    "--endpoint", envvar="PULLPASS_ENDPOINT", required=True, help="The hub's address (PULLPASS_ENDPOINT)."
)
@click.option("--token", envvar="PULLPASS_TOKEN", help="An admin's token; better in PULLPASS_TOKEN.")
@click.option(
    "--server", help="The API server's address as the hub reaches it, where it differs from the context's."
)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML with the connection's settings: proxy, timeoutSeconds, agentImage, aws endpoints, …",
)
@click.option("--print", "print_only", is_flag=True, help="Print what would be installed as YAML and stop.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before installing.")
def connect(  # noqa: PLR0917 - click passes options by name
    name: str,
    context: str | None,
    kubeconfig: Path | None,
    org: str,
    endpoint: str,
    token: str | None,
    server: str | None,
    settings_file: Path | None,
    print_only: bool,
    yes: bool,
) -> None:
    """Connect cluster NAME to the hub."""
    if print_only:
        click.echo(yaml.safe_dump_all(rights.objects(), sort_keys=False), nl=False)
        return
    if not token:
        raise click.UsageError("set PULLPASS_TOKEN to an admin's token")
    hub = Hub(endpoint, token)
    path = f"/org/{org}/mk8s/{name}"
    hub.request("GET", path)  # first: a cluster that the hub does not know must not be touched
    connection_settings = _settings(settings_file)
    from kube.kubeconfig import access_from_kubeconfig  # noqa: PLC0415 - the official client is slow to load

    try:
        access = access_from_kubeconfig(str(kubeconfig) if kubeconfig else None, context)
        if not yes and sys.stdin.isatty():
            click.confirm(
                f"Install namespace {NAMESPACE_NAME}, the hub's account and its roles into {access.server}?",
                abort=True,
            )
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
    body: dict[str, Any] = {
        "server": server or access.server,
        "token": issued.token,
        "expiresAt": issued.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "settings": connection_settings,
    }
    if access.certificate_authority:
        body["certificateAuthority"] = access.certificate_authority
    hub.request("PUT", f"{path}/-connection", body)
    click.echo(
        f"{org}/{name} is connected; the hub renews its token before {issued.expires_at:%Y-%m-%d %H:%M} UTC."
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
