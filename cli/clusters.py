"""`pullpass clusters`: the clusters of a hub; without a command of its own, the list."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import click

from cli import following, looking, output, session, summary
from cli.following import NotInTime
from cli.hub import PAGE_SIZE, Hub, HubError
from reconcile.clock import SystemClock

Json = Mapping[str, Any]

_CONDITIONS = ("Reachable", "IssuerUsable", "Installed", "NodesReady", "CredentialsVerified")
_GOALS = ("Ready", *_CONDITIONS, "deleted")
_STATES = ("Failed", "Blocked", "Degraded", "NotConnected", "Removing", "Installing", "Ready", "Disabled")
_SERVER_ERROR = 500
_OF_TERMINAL = "Look again every second, until Ctrl-C."


def _complete_issues(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    from schemas.issues import KINDS  # noqa: PLC0415 - only for a shell that completes

    return [code for code in KINDS if code.lower().startswith(begun.lower())]


def _complete_goals(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    return [goal for goal in _GOALS if goal.lower().startswith(begun.lower())]


class ListByDefault(click.Group):
    """`pullpass clusters` and `pullpass clusters -o json` are those of `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault)
def clusters() -> None:
    """The clusters of a hub: list, get, apply, delete, events, look, wait."""


clusters.add_command(looking.look)


@clusters.command(name="list")
@click.option("--state", type=click.Choice(_STATES), help="Only clusters in this state.")
@click.option(
    "--issue", metavar="CODE", shell_complete=_complete_issues, help="Only clusters with this issue."
)
@click.option(
    "--text",
    metavar="WORDS",
    help="Only clusters with these words in name, description, tags, provider or role.",
)
@click.option("-w", "--watch", is_flag=True, help=_OF_TERMINAL)
@output.option
@session.options
def list_clusters(
    *, hub: Hub, state: str | None, issue: str | None, text: str | None, watch: bool, output_format: str
) -> None:
    """List the clusters by name."""
    query = {"limit": str(PAGE_SIZE), "standing": state, "issue": issue, "text": text}
    asked = urlencode({name: value for name, value in query.items() if value})
    path = f"{hub.clusters}?{asked}"
    if watch:
        _only_tables(output_format)
        following.watch(lambda now: _list(_rows(hub, path, now)))
    if output_format in {"json", "yaml"}:
        found = {"kind": "list", "itemKind": "mk8s", "items": list(hub.items(path)), "links": []}
        output.document(found, output_format)
        return
    nobody = (
        "No such cluster." if state or issue or text else "No clusters yet: pullpass clusters apply -f FILE"
    )
    output.show(_rows(hub, path, SystemClock().now()), output_format, empty=nobody)


@clusters.command()
@session.cluster_argument
@click.option("-w", "--watch", is_flag=True, help=_OF_TERMINAL)
@output.option
@session.options
def get(hub: Hub, name: str, watch: bool, output_format: str) -> None:
    """Show one cluster: its state, steps, issues with their remedies, and its OIDC provider URL."""
    path = hub.cluster(name)
    if watch:
        _only_tables(output_format)
        following.watch(lambda now: _picture(hub.request("GET", path), now))
    cluster = hub.request("GET", path)
    if output_format == "name":
        click.echo(cluster["name"])
    elif output_format == "table":
        click.echo(summary.page(cluster, SystemClock().now()))
    else:
        output.document(cluster, output_format)


@clusters.command()
@click.option("-f", "--file", "files", multiple=True, required=True, metavar="PATH", help="A file, a folder, or - for stdin; repeatable.")  # fmt: skip
@click.option(
    "--dry-run", is_flag=True, help="Print what would change, in the hub and in the clusters, and stop."
)
@click.option("--wait", is_flag=True, help="Wait until every one of them is Ready.")
@click.option("--timeout", type=click.FloatRange(0), default=600, show_default=True, metavar="SECONDS", help="With --wait or --dry-run.")  # fmt: skip
@click.option("-o", "--output", "output_format", type=click.Choice(["table", "name"]), default="table")
@session.options
def apply(
    *, hub: Hub, files: tuple[str, ...], dry_run: bool, wait: bool, timeout: float, output_format: str
) -> None:
    """Create or replace clusters as manifests say.

    A file may hold several manifests. All are read before the first is sent; one that the hub refuses does not keep the
    others back, and ends the command with exit code 1.
    """
    from cli import applying, manifest_files  # noqa: PLC0415 - YAML is not loaded for the other commands

    manifests = manifest_files.read(files)
    refused = 0
    for manifest in manifests:
        try:
            if dry_run:
                applying.preview(hub, manifest, timeout_seconds=timeout)
                continue
            word = applying.put(hub, manifest)
            click.echo(manifest.name if output_format == "name" else f"{manifest.name} {word}")
        except HubError as error:
            refused += 1
            click.echo(f"{manifest.origin}: {error.message}", err=True)
    if refused:
        raise click.ClickException(f"{refused} of {len(manifests)} manifests were refused")
    if wait and not dry_run:
        wait_for(hub, tuple(manifest.name for manifest in manifests), "Ready", timeout)


@clusters.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=session.complete_clusters)
@click.option("--force", is_flag=True, help="Forget the cluster at once, and print what remains in it.")
@click.option("--wait", is_flag=True, help="Wait until it is gone.")
@click.option("--timeout", type=click.FloatRange(0), default=600, show_default=True, metavar="SECONDS", help="With --wait.")  # fmt: skip
@click.option("-y", "--yes", is_flag=True, help="Do not ask; off a terminal nothing is asked.")
@session.options
def delete(*, hub: Hub, names: tuple[str, ...], force: bool, wait: bool, timeout: float, yes: bool) -> None:
    """Remove clusters: the agent gives back what Pullpass did in them, then the hub forgets them."""
    how = "Forget" if force else "Remove"
    if not yes and sys.stdin.isatty():
        click.confirm(f"{how} {', '.join(names)} in {hub.org} at {hub.endpoint}?", abort=True)
    for name in names:
        answer = hub.request("DELETE", hub.cluster(name) + ("?force=true" if force else ""))
        if answer["kind"] == "removal":
            click.echo(f"{name} is gone")
            for left in answer["remains"]:
                click.echo(f"  {left['what']}\n    do: {left['command']}")
        else:
            click.echo(f"{name} is being removed")
    if wait:
        wait_for(hub, names, "deleted", timeout)


@clusters.command()
@session.cluster_argument
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many, at most."
)
@click.option("-w", "--watch", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@output.option
@session.options
def events(hub: Hub, name: str, limit: int, watch: bool, output_format: str) -> None:
    """Show what happened to a cluster, oldest first."""
    if watch:
        _only_tables(output_format)
    path = hub.cluster(name, "-eventlog")
    found: list[Json] = []
    for event in hub.items(f"{path}?limit={min(limit, PAGE_SIZE)}"):
        found.append(event)
        if len(found) == limit:
            break
    found.reverse()
    if output_format in {"json", "yaml"}:
        output.document(found, output_format)
    elif output_format == "name":
        output.show([{"name": event["reason"]} for event in found], "name", empty="")
    else:
        rows = [_event_row(event) for event in found]
        output.show(rows, output_format, empty=f"Nothing has happened to {name} yet.")
    if watch:
        with following.until_interrupted():
            _follow_events(hub, path, found)


@clusters.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=session.complete_clusters)
@click.option("--for", "goal", type=click.Choice(_GOALS, case_sensitive=False), default="Ready", show_default=True, metavar=f"[{'|'.join(_GOALS)}]", shell_complete=_complete_goals, help="What to wait for.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(0), default=600, show_default=True, metavar="SECONDS", help="How long, before exit code 3.")  # fmt: skip
@session.options
def wait(hub: Hub, names: tuple[str, ...], goal: str, timeout: float) -> None:
    """Wait until clusters are Ready, reachable, deleted, …; exit code 3 when they are not in time."""
    wait_for(hub, names, goal, timeout)


def wait_for(hub: Hub, names: tuple[str, ...], goal: str, timeout_seconds: float) -> None:
    """Shows the progress of `names` until each has reached `goal`.

    Raises:
        NotInTime: one has not, after the time; the message holds its issues and their remedies.
        click.ClickException: one never will.
    """
    latest: dict[str, Json | None] = {}
    with following.display() as say:

        def reached() -> bool:
            for name in names:
                try:
                    latest[name] = _look(hub, name, goal)
                except HubError as error:
                    if name not in latest or 0 < error.status < _SERVER_ERROR:
                        raise
                    return False  # it answered before, and may again
            say("\n".join(_progress(name, cluster) for name, cluster in latest.items()))
            return all(_has_reached(cluster, goal) for cluster in latest.values())

        in_time = following.until(reached, timeout_seconds=timeout_seconds)
    if in_time:
        return
    words = []
    for name, cluster in latest.items():
        if not _has_reached(cluster, goal) and cluster is not None:
            words.append(
                f"{name} is not {goal} after {timeout_seconds:g} seconds: {summary.progress(cluster)}"
            )
            words += [line for issue in summary.issues(cluster) for line in summary.told(issue)]
    raise NotInTime("\n".join(words))


def _look(hub: Hub, name: str, goal: str) -> Json | None:
    cluster = hub.find(hub.cluster(name)) if goal == "deleted" else hub.request("GET", hub.cluster(name))
    if goal == "Ready" and cluster is not None and not (cluster["spec"].get("addOns")):
        raise click.ClickException(
            f"{name} has no add-on enabled, so it never gets Ready\n  do: pullpass addons enable {name} awsECR"
        )
    return cluster


def _has_reached(cluster: Json | None, goal: str) -> bool:
    if cluster is None or goal == "deleted":
        return cluster is None
    status = cluster["status"]
    if status.get("observedGeneration") != status.get("generation"):
        return False
    if goal == "Ready":
        return bool(status.get("standing") == "Ready")
    sources = [status, *(status.get("addOns") or {}).values()]
    found = [
        condition["status"]
        for source in sources
        for condition in source.get("conditions", ())
        if condition["type"] == goal
    ]
    return bool(found) and set(found) == {"True"}


def _progress(name: str, cluster: Json | None) -> str:
    return f"{name}  {'gone' if cluster is None else summary.progress(cluster)}"


def _picture(cluster: Json, now: datetime) -> str:
    """The page on a terminal; off it a line, which does not change with every second."""
    terminal = sys.stdout.isatty()
    return summary.page(cluster, now) if terminal else _progress(str(cluster["name"]), cluster)


def _rows(hub: Hub, path: str, now: datetime) -> list[dict[str, Any]]:
    return [summary.row(cluster, now) for cluster in hub.items(path)]


def _list(rows: list[dict[str, Any]]) -> str:
    """The table on a terminal; off it lines, without the age, which changes with every second."""
    if sys.stdout.isatty():
        return output.table(rows) if rows else "No such cluster."
    return output.lines([{name: value for name, value in row.items() if name != "age"} for row in rows])


def _event_row(event: Json) -> dict[str, Any]:
    return {
        "time": event["created"],
        "type": event["status"],
        "reason": event["reason"],
        "message": event["message"],
    }


def _follow_events(hub: Hub, path: str, shown: list[Json]) -> None:
    seen = {event["id"] for event in shown}
    clock = SystemClock()
    while True:
        following.pause(clock)
        page = hub.request("GET", f"{path}?limit={PAGE_SIZE}")["items"]
        new = [event for event in reversed(page) if event["id"] not in seen]
        seen = {event["id"] for event in page}
        for event in new:
            click.echo(output.lines([_event_row(event)]))


def _only_tables(output_format: str) -> None:
    if output_format != "table":
        raise click.UsageError(f"--watch draws for people: it does not go with -o {output_format}")
