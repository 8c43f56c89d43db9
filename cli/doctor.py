"""`pullpass doctor`: the whole chain of a cluster now, hop by hop, walked by the hub; and what was seen from inside.

The hub's controller walks it (`-doctor`), because the API dials nobody and this machine may reach nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from cli import errands, output, session, summary
from cli.hub import Hub

Json = Mapping[str, Any]

_GOOD, _BAD = click.style("✓", fg="green"), click.style("✗", fg="red")


@click.command()
@session.cluster_argument
@click.option("--timeout", type=click.FloatRange(0), default=120, show_default=True, metavar="SECONDS", help="How long, before exit code 3.")  # fmt: skip
@output.option
@session.options
def doctor(*, hub: Hub, name: str, timeout: float, output_format: str) -> None:
    """Walk the chain of cluster NAME now and print it hop by hop.

    From the hub: API server, rights, issuer, token, STS, ECR, registry. Beside it what agent and nodes last proved from
    inside the cluster, where the network and the clock are others. Exit code 1 when a hop does not let us through.
    """
    result = errands.run(hub, name, "-doctor", timeout_seconds=timeout)
    if "error" in result:
        raise click.ClickException(f"{name} cannot be examined: {result['error']}")
    cluster = hub.request("GET", hub.cluster(name))
    inside = (cluster["status"].get("addOns") or {}).get("awsECR", {})
    if output_format in {"json", "yaml"}:
        verified = inside.get("credentials")
        output.document(
            {**result, "inside": {"credentials": verified, "issues": summary.issues(cluster)}}, output_format
        )
    else:
        click.echo("\n".join(_told(name, result, cluster, inside)))
    if any(not hop["succeeded"] for hop in result["hops"]):
        click.get_current_context().exit(1)


def _told(name: str, result: Json, cluster: Json, inside: Json) -> Iterator[str]:
    yield f"{click.style(name, bold=True)}  walked from the {result['verifiedFrom']} at {result['walkedAt']}"
    for hop in result["hops"]:
        if hop["succeeded"]:
            yield f"  {_GOOD} {hop['name']:<12} {hop['message']}".rstrip()
            continue
        code = click.style(f"{hop['code']}:", fg="red", bold=True)
        yield f"  {_BAD} {hop['name']:<12} {code} {hop['message']}"
        yield f"    {click.style('do:', bold=True)} {hop['remedy']}"
    for left in result["notWalked"]:
        yield click.style(f"  · {left:<12} not walked", fg="bright_black")
    credentials = inside.get("credentials") or {}
    yield ""
    if credentials.get("verifiedAt"):
        yield f"Seen from the {credentials.get('verifiedFrom', 'agent')} inside the cluster at {credentials['verifiedAt']}"
    else:
        yield "Nothing was proved from inside the cluster yet"
    nodes = inside.get("nodes")
    if nodes:
        yield f"{nodes['ready']} of {nodes['desired']} nodes get credentials themselves"
    told = {hop["code"] for hop in result["hops"]}
    for issue in summary.issues(cluster):
        if issue["code"] not in told:
            yield from summary.told(issue)
