"""`pullpass aws teardown`: takes out of AWS what is there for one cluster, and nothing else."""

from __future__ import annotations

import click

from aws.setup.failures import SetupFailure
from aws.setup.teardown import teardown as teardown_of
from aws.setup.wanted import PermissionsKind
from cli import aws_plans, aws_wanted, output, session
from cli.aws_wanted import Choices
from cli.hub import Hub


@click.command()
@session.cluster_argument
@aws_plans.options
@aws_plans.output_option
@session.options
def teardown(
    *, hub: Hub, name: str, profile: str | None, dry_run: bool, yes: bool, output_format: str
) -> None:
    """Remove from AWS what is there for cluster NAME alone: run it before the cluster is deleted.

    Its statement of the trust policy; our policy and the role when no other cluster uses them and we made them; the OIDC
    provider when we made it and no other role of the account trusts it. Shows the plan and asks.
    """
    from aws import iam, user_session  # noqa: PLC0415 - boto3 is slow to import

    aws_plans.check_may_ask(dry_run=dry_run, yes=yes, output_format=output_format)
    cluster = hub.request("GET", hub.cluster(name))
    role = aws_wanted.role_of(cluster)
    if role is None or aws_wanted.issuer_of(cluster) is None:
        raise click.ClickException(f"the hub knows no role and issuer of {name}, so nothing of it is in AWS")
    try:
        caller = user_session.open_session(profile=profile, partition=role.partition)
        if caller.account != role.account:
            raise click.ClickException(
                f"the role {role} is in account {role.account}, and these credentials are for {caller.account}\n"
                "  do: pass --profile with one of the role's account"
            )
        wanted = aws_wanted.wanted_for(
            hub, cluster, role, Choices(kind=PermissionsKind.PULL_ONLY), region=caller.region
        )
        client = caller.iam()
        state = iam.read_state(client, wanted, for_teardown=True)
    except SetupFailure as failure:
        raise aws_plans.Refused(failure) from failure
    plan = teardown_of(wanted, state, {cluster["id"]})
    for_people = output_format == "table"
    if for_people:
        aws_plans.show(plan)
    else:
        output.document(aws_plans.document(plan, role), output_format)
    if not plan.steps and for_people:
        click.echo(f"AWS account {role.account} holds nothing that is there for {name} alone.")
    if dry_run or not plan.steps:
        return
    if not yes:
        click.confirm(
            f"Its pulls will fail. Do this in AWS account {role.account} as {caller.arn}?", abort=True
        )
    aws_plans.carry_out(client, plan.steps, quiet=not for_people)
