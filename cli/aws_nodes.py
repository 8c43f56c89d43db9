"""`pullpass aws attach-node-role`: lets the nodes of a cluster on AWS pull by the role of their own instances."""

from __future__ import annotations

import click

from aws.setup import node_roles as setup
from aws.setup.failures import SetupFailure
from aws.setup.steps import AttachPolicy
from cli import aws_plans, output, session
from cli.hub import Hub


@click.command(name="attach-node-role")
@session.cluster_argument
@click.option("--eks-name", metavar="NAME", help="The cluster's name in AWS, where it differs from NAME.")
@click.option("--region", metavar="REGION", help="Default: the region of the cluster's provider.")
@aws_plans.options
@aws_plans.output_option
@session.options
def attach_node_role(
    *,
    hub: Hub,
    name: str,
    eks_name: str | None,
    region: str | None,
    profile: str | None,
    dry_run: bool,
    yes: bool,
    output_format: str,
) -> None:
    """Attach AmazonEC2ContainerRegistryReadOnly to the roles of the nodes of cluster NAME.

    Finds the roles by EKS node groups, and by Auto Scaling groups and instances that carry the cluster's tag. It is what
    `aws iam attach-role-policy` does. Roles that may pull already are left alone.
    """
    from aws import node_roles, user_session  # noqa: PLC0415 - boto3 is slow to import

    aws_plans.check_may_ask(dry_run=dry_run, yes=yes, output_format=output_format)
    cluster = hub.request("GET", hub.cluster(name))
    provider = cluster["spec"]["provider"].get("aws")
    if provider is None and region is None:
        raise click.UsageError(
            f"{name} is not of provider aws: its nodes have no instance role (else: --region)"
        )
    where = region or provider["region"]
    try:
        caller = user_session.open_session(profile=profile, region=where)
        roles = node_roles.find(caller, eks_name or name, where)
    except SetupFailure as failure:
        raise aws_plans.Refused(failure) from failure
    if not roles:
        raise click.ClickException(
            f"no node of {eks_name or name} was found in {where} of account {caller.account}\n"
            "  do: name the cluster as AWS knows it with --eks-name; nodes carry the tag kubernetes.io/cluster/NAME"
        )
    plan = setup.plan(roles)
    for_people = output_format == "table"
    if for_people:
        aws_plans.show(plan)
        for step in plan.steps:
            if isinstance(step, AttachPolicy):
                click.echo(f"  {setup.command(step)}")
    else:
        output.document(aws_plans.document(plan, None), output_format)
    if dry_run or not plan.steps:
        return
    if not yes:
        click.confirm(f"Do this in AWS account {caller.account} as {caller.arn}?", abort=True)
    aws_plans.carry_out(caller.iam(), plan.steps, quiet=not for_people)
