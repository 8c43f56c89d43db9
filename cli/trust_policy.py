"""`pullpass trust-policy`: the policy document to give to the role of a cluster."""

from __future__ import annotations

import json

import click

from cli import session
from cli.hub import Hub


@click.command(name="trust-policy")
@session.cluster_argument
@click.option(
    "--only", is_flag=True, help="The statement of this cluster alone, for a document that you keep by hand."
)
@session.options
def trust_policy(hub: Hub, name: str, only: bool) -> None:
    """Print the IAM trust policy for the role of cluster NAME, as JSON.

    It covers every cluster of the organisation that uses the role, because AWS replaces the whole document:

    pullpass trust-policy NAME > trust.json && aws iam update-assume-role-policy --role-name ROLE
    --policy-document file://trust.json
    """
    path = hub.cluster(name, "-addons", "awsECR", "trustPolicy")
    policy = hub.request("GET", path + ("?cluster=only" if only else ""))
    click.echo(json.dumps(policy, indent=2))
