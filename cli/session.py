"""Which hub a command speaks to, and as whom: options over environment over the context in use.

`PULLPASS_ENDPOINT`, `PULLPASS_TOKEN` and `PULLPASS_ORG` win over what `pullpass login` stored, each by itself; but a
stored token is never sent to another address than the one it was stored for. Used by every command that asks a hub.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from cli import contexts
from cli.contexts import Contexts
from cli.hub import PAGE_SIZE, Hub, HubError

Function = TypeVar("Function", bound=Callable[..., Any])

_COMPLETION_SECONDS = 2.0
_OPTIONS = ("hub_name", "endpoint", "org", "token")


def options(function: Function) -> Function:
    """Adds `--hub`, `--endpoint`, `--org` and `--token`, and passes the `Hub` that they lead to as `hub`."""

    @functools.wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        given = {name: named.pop(name) for name in _OPTIONS}
        return function(*arguments, hub=_resolve(click.get_current_context(), **given), **named)

    decorated: Any = called
    for option in reversed(_DECLARED):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]  # click returns what it was given


def complete_hubs(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """The names of stored hubs, for shell completion."""
    try:
        return [name for name in contexts.read().hubs if name.startswith(begun)]
    except click.ClickException:
        return []


def complete_clusters(
    context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """The names of the hub's clusters, for shell completion; none where it does not answer at once."""
    given = {name: context.params.get(name) for name in _OPTIONS}
    try:
        hub = _resolve(context, **given, read_seconds=_COMPLETION_SECONDS)
        page = hub.request("GET", f"{hub.clusters}?limit={PAGE_SIZE}")
    except (HubError, click.ClickException):
        return []
    return [
        CompletionItem(item["name"], help=item["status"].get("standing", ""))
        for item in page["items"]
        if item["name"].startswith(begun)
    ]


def cluster_argument(function: Function) -> Function:
    """Adds the argument NAME, a cluster's, which shells complete."""
    return click.argument("name", shell_complete=complete_clusters)(function)


_DECLARED = (
    click.option(
        "--hub",
        "hub_name",
        metavar="NAME",
        shell_complete=complete_hubs,
        help="A hub that you signed in to (`pullpass contexts list`); default: the one in use.",
    ),
    click.option(
        "--endpoint", envvar="PULLPASS_ENDPOINT", metavar="URL", help="The hub's address (PULLPASS_ENDPOINT)."
    ),
    click.option("--org", envvar="PULLPASS_ORG", metavar="ORG", help="Organisation (PULLPASS_ORG)."),
    click.option(
        "--token", envvar="PULLPASS_TOKEN", metavar="TOKEN", help="A token; better in PULLPASS_TOKEN."
    ),
)


def _resolve(
    context: click.Context,
    *,
    hub_name: str | None,
    endpoint: str | None,
    org: str | None,
    token: str | None,
    read_seconds: float = 30,
) -> Hub:
    """The hub.

    Raises:
        click.UsageError: nothing says which hub, which organisation or who asks, or two things disagree.
    """
    stored = contexts.read() if hub_name or not (endpoint and org and token) else Contexts()
    if hub_name is not None and hub_name not in stored.hubs:
        known = ", ".join(stored.hubs) or "none yet"
        raise click.UsageError(
            f"--hub: there is no hub {hub_name!r} (known: {known}); `pullpass login` adds one"
        )
    name = hub_name or stored.current
    known_hub = stored.hubs.get(name) if name else None
    if endpoint and known_hub and endpoint.rstrip("/") != known_hub.endpoint:
        if hub_name is not None:
            source = context.get_parameter_source("endpoint")
            where = "PULLPASS_ENDPOINT" if source is ParameterSource.ENVIRONMENT else "--endpoint"
            raise click.UsageError(
                f"{where} is {endpoint}, and --hub {hub_name} is {known_hub.endpoint}: drop one"
            )
        known_hub = None  # the stored token is for another address
    endpoint = endpoint or (known_hub.endpoint if known_hub else None)
    org = org or (known_hub.org if known_hub else None)
    token = token or (known_hub.token if known_hub else None)
    for value, variable in ((endpoint, "ENDPOINT"), (org, "ORG"), (token, "TOKEN")):
        if not value:
            raise click.UsageError(
                f"no hub is known to speak to: run `pullpass login URL`, or set PULLPASS_{variable}"
            )
    return Hub(str(endpoint), str(token), str(org), read_seconds=read_seconds)
