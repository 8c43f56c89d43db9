"""`pullpass aws read-role`: what an account has to hold so that the hub may compare it with what its clusters need."""

from __future__ import annotations

import click

from aws.setup import read_role as reading
from cli import session
from cli.hub import Hub


@click.command(name="read-role")
@click.option(
    "--role-name",
    metavar="NAME",
    default=reading.DEFAULT_NAME,
    show_default=True,
    help="As the hub's operator has it (PULLPASS_IAM_CHECK_ROLE).",
)
@session.options
def read_role(hub: Hub, role_name: str) -> None:
    """Print the commands that let the hub read an AWS account, and nothing else.

    Run them with credentials of each account that holds a role or a registry of your clusters. The role asks for the
    external id of your organisation, so that no other one has the hub read your account.
    """
    external = hub.request("GET", f"/org/{hub.org}/-external-id")
    for command in reading.commands(role_name, external["trustPolicy"]):
        click.echo(command)
    if external["principal"] is None:
        click.echo(
            "Put the ARN of the hub's IAM role for ${HUB_PRINCIPAL}; the hub's operator knows it.", err=True
        )
