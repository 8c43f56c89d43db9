"""`pullpass login` and `pullpass contexts`: which hubs there are for this person, and which one is in use."""

from __future__ import annotations

import sys
from dataclasses import replace
from urllib.parse import urlsplit

import click

from cli import contexts, output, session
from cli.contexts import Contexts
from cli.hub import Hub

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@click.command()
@click.argument("endpoint", envvar="PULLPASS_ENDPOINT", metavar="URL")
@click.option(
    "--org",
    envvar="PULLPASS_ORG",
    metavar="ORG",
    prompt="Organisation",
    help="Your organisation (PULLPASS_ORG).",
)
@click.option(
    "--name", metavar="NAME", help="What to call this hub; default: its host, and the organisation."
)
@click.option(
    "--token",
    envvar="PULLPASS_TOKEN",
    metavar="TOKEN",
    help="Better: PULLPASS_TOKEN, or the first line of stdin.",
)
def login(endpoint: str, org: str, name: str | None, token: str | None) -> None:
    """Sign in to the hub at URL.

    The token is checked against the hub, then stored in a file that only you can read. From then on this hub is the one
    in use.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise click.UsageError(
            f"URL: expected the hub's address, such as https://pullpass.example.com, not {endpoint!r}"
        )
    endpoint = endpoint.rstrip("/")
    if token is None:
        token = (
            click.prompt("Token", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
        )
    token = token.strip()
    if not token or not token.isascii():
        raise click.UsageError("no token was given: set PULLPASS_TOKEN, or write it to stdin")
    hub = Hub(endpoint, token, org)
    hub.request("GET", f"{hub.clusters}?limit=1")
    name = name or f"{parts.hostname}-{org}"
    stored = contexts.read()
    known = contexts.Hub(endpoint, org, token)
    contexts.write(Contexts({**stored.hubs, name: known}, name))
    click.echo(f"Signed in to {endpoint} as a member of {org}; this hub is {name!r} and in use.")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        click.echo("Careful: http sends your token unencrypted.", err=True)


@click.group(name="contexts")
def contexts_group() -> None:
    """The hubs that you signed in to."""


@contexts_group.command(name="list")
@output.option
def list_contexts(output_format: str) -> None:
    """List the hubs, never their tokens; * marks the one in use."""
    stored = contexts.read()
    rows = [
        {
            "current": "*" if name == stored.current else "",
            "name": name,
            "endpoint": hub.endpoint,
            "org": hub.org,
        }
        for name, hub in stored.hubs.items()
    ]
    output.show(rows, output_format, empty="No hub yet: pullpass login URL")


@contexts_group.command()
@click.argument("name", shell_complete=session.complete_hubs)
def use(name: str) -> None:
    """Speak to hub NAME from now on."""
    stored = _with(name)
    contexts.write(replace(stored, current=name))
    click.echo(f"{stored.hubs[name].endpoint} is in use, as a member of {stored.hubs[name].org}.")


@contexts_group.command()
@click.argument("name", shell_complete=session.complete_hubs)
def delete(name: str) -> None:
    """Forget hub NAME and its token; on the hub the token goes on until it is revoked."""
    stored = _with(name)
    left = {other: hub for other, hub in stored.hubs.items() if other != name}
    contexts.write(Contexts(left, None if stored.current == name else stored.current))
    click.echo(f"{name} is forgotten.")


def _with(name: str) -> Contexts:
    stored = contexts.read()
    if name not in stored.hubs:
        known = ", ".join(stored.hubs) or "none yet"
        raise click.ClickException(f"there is no hub {name!r}; known: {known}")
    return stored
