"""`pullpass addons`: switch add-ons of one cluster on and off, and see how they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from cli import output, session
from cli.clusters import wait_for
from cli.hub import Hub

_NEEDS = {"awsECR": "awsWorkloadIdentity"}
_ADD_ON = click.argument("add_on", metavar="ADD-ON", type=click.Choice(["awsECR", "awsWorkloadIdentity"]))
_TIMEOUT = click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="With --wait.",
)


@click.group()
def addons() -> None:
    """The add-ons of a cluster: awsECR and awsWorkloadIdentity."""


@addons.command()
@session.cluster_argument
@_ADD_ON
@click.option("--role-arn", metavar="ARN", help="awsECR: the role that pulls.")
@click.option(
    "--delivery", type=click.Choice(["auto", "node", "pullSecret"]), help="awsECR: who gets the credentials."
)
@click.option(
    "--registry", "registries", multiple=True, metavar="HOST", help="awsECR: a registry to serve; repeatable."
)
@click.option(
    "--verify-image", metavar="IMAGE", help="awsECR: an image that must be found for the add-on to be Ready."
)
@click.option("--issuer", type=click.Choice(["cluster", "published"]), help="awsWorkloadIdentity: who answers for the tokens.")  # fmt: skip
@click.option("--set", "others", multiple=True, metavar="SETTING=VALUE", help="Any other setting of the add-on, such as node.restartDeviceNodes=true; repeatable.")  # fmt: skip
@click.option("--wait", is_flag=True, help="Wait until the cluster is Ready.")
@_TIMEOUT
@session.options
def enable(*, hub: Hub, name: str, add_on: str, wait: bool, timeout: float, **given: Any) -> None:
    """Enable an add-on of cluster NAME, or change the settings of one that is.

    What is not named stays as it is. awsECR brings awsWorkloadIdentity, which it needs.
    """
    block: dict[str, Any] = {"roleArn": given["role_arn"]} if given["role_arn"] else {}
    settings = {
        "delivery": given["delivery"],
        "registries": list(given["registries"]) or None,
        "verifyImage": given["verify_image"],
    }
    settings = {key: value for key, value in settings.items() if value is not None}
    if add_on != "awsECR" and (block or settings):
        raise click.UsageError("--role-arn, --delivery, --registry and --verify-image are awsECR's")
    add_ons: dict[str, Any] = {needed: {} for needed in [_NEEDS.get(add_on)] if needed} | {add_on: block}
    change: dict[str, Any] = {"spec": {"addOns": add_ons}}
    wishes: dict[str, dict[str, Any]] = {
        "awsECR": settings,
        "awsWorkloadIdentity": {"issuer": given["issuer"]} if given["issuer"] else {},
    }
    for setting in given["others"]:
        _set(wishes[add_on], setting)
    wishes = {key: value for key, value in wishes.items() if value}
    if wishes:
        change["settings"] = wishes
    hub.request("PATCH", hub.cluster(name), change)
    click.echo(f"{add_on} is enabled on {name}")
    if wait:
        wait_for(hub, (name,), "Ready", timeout)


@addons.command()
@session.cluster_argument
@_ADD_ON
@session.options
def disable(hub: Hub, name: str, add_on: str) -> None:
    """Disable an add-on of cluster NAME: the agent gives back what it did, then goes."""
    hub.request("PATCH", hub.cluster(name), {"spec": {"addOns": {add_on: None}}})
    click.echo(f"{add_on} is disabled on {name}")


@addons.command()
@session.cluster_argument
@output.option
@session.options
def status(hub: Hub, name: str, output_format: str) -> None:
    """Show the add-ons of cluster NAME, their states and what each waits for."""
    cluster = hub.request("GET", hub.cluster(name))
    found: Mapping[str, Any] = cluster["status"].get("addOns") or {}
    add_ons = {key: add_on for key, add_on in found.items() if "state" in add_on}
    if output_format in {"json", "yaml"}:
        output.document(add_ons, output_format)
        return
    rows = [
        {
            "name": key,
            "state": add_on["state"],
            "delivery": add_on.get("delivery"),
            "issues": ", ".join(issue["code"] for issue in add_on["issues"]),
        }
        for key, add_on in add_ons.items()
    ]
    output.show(rows, output_format, empty=f"No add-on is enabled: pullpass addons enable {name} awsECR")


def _set(settings: dict[str, Any], setting: str) -> None:
    """Puts `a.b=VALUE` in; the value is YAML, so that numbers, lists and `null` (the default again) can be said."""
    import yaml  # noqa: PLC0415 - only where it is asked for

    path, separator, text = setting.partition("=")
    *parents, name = path.split(".")
    if not separator or not name:
        raise click.UsageError(f"--set {setting}: expected SETTING=VALUE, such as identity=shared")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise click.UsageError(f"--set {setting}: the value is no YAML") from None
    for parent in parents:
        inner = settings.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise click.UsageError(f"--set {setting}: {parent} is set to {inner!r} already")
        settings = inner
    settings[name] = value
