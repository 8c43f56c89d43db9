"""`pullpass clusters look`: something was mended, so look now, and say what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from cli import following, session, summary
from cli.following import NotInTime
from cli.hub import Hub

Json = Mapping[str, Any]

_UNDER_WAY = frozenset({"Installing", "Removing"})


@click.command()
@session.cluster_argument
@click.option("--wait", is_flag=True, help="Show the steps and what came of it; exit code 1 where the cluster is not Ready.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(0), default=180, show_default=True, metavar="SECONDS", help="With --wait: how long, before exit code 3.")  # fmt: skip
@session.options
def look(hub: Hub, name: str, wait: bool, timeout: float) -> None:
    """Have cluster NAME looked at now, after something was mended there or in AWS.

    The hub looks by itself every few minutes, and waits longer from failure to failure. This does not wait: the hub asks
    the cluster everything again, and the agent in it walks to AWS again.
    """
    cluster = hub.request("POST", hub.cluster(name, "-look"))
    if not wait:
        click.echo(f"{name} is looked at now")
        return
    generation = cluster["status"]["generation"]
    with following.display() as say:

        def over() -> bool:
            nonlocal cluster
            cluster = hub.request("GET", hub.cluster(name))
            say(f"{name}  {summary.progress(cluster)}")
            return _is_over(cluster["status"], generation)

        in_time = following.until(over, timeout_seconds=timeout)
    told = [line for issue in summary.issues(cluster) for line in summary.told(issue)]
    if not in_time:
        words = f"{name} is still being looked at after {timeout:g} seconds: {summary.progress(cluster)}"
        raise NotInTime("\n".join([words, *told]))
    if cluster["status"]["standing"] not in {"Ready", "Disabled"}:
        raise click.ClickException("\n".join([f"{name} is {cluster['status']['standing']}", *told]))


def _is_over(status: Json, generation: int) -> bool:
    states = {add_on["state"] for add_on in (status.get("addOns") or {}).values()}
    return status.get("observedGeneration", 0) >= generation and not states & _UNDER_WAY
