"""`pullpass connect`, `reconnect`: gives the hub a narrow account of its own in a cluster, with the user's own admin context.

It installs the rights of `controller.rights` (fixed names, documented in docs/reference/rights.md), asks for a token
of the hub's service account and uploads only that. The user's own credential never leaves this machine. With `--eks`
nothing secret is uploaded at all: the hub is told the cluster's name in EKS, and what has to be there is printed.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import click
import yaml

from cli import eks_steps, session
from cli.hub import Hub
from controller import rights
from kube.client import Access, Client
from kube.errors import Forbidden, KubeError
from schemas.agent_documents import HUB_ACCOUNT, NAMESPACE_NAME

Function = TypeVar("Function", bound=Callable[..., Any])

TOKEN_SECONDS = 30 * 24 * 3600

_CONTEXT = click.option(
    "--context", help="The kubeconfig context of an admin of the cluster; default: the current one."
)
_KUBECONFIG = click.option(
    "--kubeconfig", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Default: as kubectl."
)
_YES = click.option("-y", "--yes", is_flag=True, help="Do not ask before installing.")


def _or_print(function: Function) -> Function:
    """Adds `--print`, which needs no hub, so it is done before one is looked for."""

    @functools.wraps(function)
    def called(*, print_only: bool, **named: Any) -> Any:
        if print_only:
            click.echo(yaml.safe_dump_all(rights.objects(eks=bool(named["eks"])), sort_keys=False), nl=False)
            return None
        return function(**named)

    option = click.option(
        "--print", "print_only", is_flag=True, help="Print what would be installed as YAML and stop."
    )
    return option(called)  # type: ignore[return-value]  # click returns what it was given


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
    "--eks",
    metavar="CLUSTER",
    help="Reach it as this EKS cluster, by a role and without a token; the rights are installed where --context is given.",
)
@click.option("--region", help="Of the EKS cluster; default: the manifest's.")
@click.option(
    "--role-arn", metavar="ARN", help="The role for EKS; default: the manifest's deployRoleArn and chain."
)
@_YES
@_or_print
@session.options
def connect(
    *,
    hub: Hub,
    name: str,
    context: str | None,
    kubeconfig: Path | None,
    server: str | None,
    settings_file: Path | None,
    eks: str | None,
    region: str | None,
    role_arn: str | None,
    yes: bool,
) -> None:
    """Connect cluster NAME to the hub."""
    if eks is None and (region or role_arn):
        raise click.UsageError("--region and --role-arn belong to --eks CLUSTER")
    if eks is not None and server is not None:
        raise click.UsageError("--server and --eks exclude each other: EKS says where the cluster is")
    hub.request("GET", hub.cluster(name))  # first: a cluster that the hub does not know must not be touched
    if eks is not None:
        admin = access_of(context, kubeconfig) if context or kubeconfig else None
        wanted = {"cluster": eks, "region": region, "roleArn": role_arn}
        asked: dict[str, Any] = {"eks": wanted, "settings": _settings(settings_file)}
        answer = hub.request("PUT", hub.cluster(name, "-connection"), asked)
        if admin is not None:
            with admin_of(admin, yes=yes) as client:
                install(client, eks=True)
        shown = hub.request("GET", f"/org/{quote(hub.org, safe='')}/-external-id")
        click.echo(eks_steps.text(hub.org, name, answer["eks"], shown, installed=admin is not None))
        return
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
    # Nothing of the connection changes; the answer says what it is, before anything is installed for it.
    if (eks := hub.request("PUT", hub.cluster(name, "-connection"), {})["eks"]) is not None:
        raise click.ClickException(
            f"the hub enters {name} by EKS and holds no token of it"
            f"\n  do: pullpass connect {name} --eks {eks['cluster']} --region {eks['region']} --context CONTEXT"
        )
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
    with admin_of(access, yes=yes) as client:
        install(client)
        issued = client.request_token(
            NAMESPACE_NAME, HUB_ACCOUNT, audiences=[], expiration_seconds=TOKEN_SECONDS
        )
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


@contextmanager
def admin_of(access: Access, *, yes: bool) -> Iterator[Client]:
    """The cluster, once the user has agreed to an installation; what it refuses inside ends the command."""
    if not yes and sys.stdin.isatty():
        click.confirm(
            f"Install namespace {NAMESPACE_NAME}, the hub's account and its roles into {access.server}?",
            abort=True,
        )
    try:
        client = Client(access)
        try:
            yield client
        finally:
            client.close()
    except Forbidden as error:
        raise click.ClickException(f"this context may not install the hub's rights: {error}") from error
    except KubeError as error:
        raise click.ClickException(f"the cluster did not take it: {error}") from error


def install(client: Client, *, eks: bool = False) -> None:
    """Applies every object of `controller.rights`; running it again changes nothing."""
    for obj in rights.objects(eks=eks):
        client.apply(obj)


def _settings(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    loaded = yaml.safe_load(file.read_text())
    if not isinstance(loaded, dict):
        raise click.UsageError(f"{file} holds no mapping of settings")
    return loaded
