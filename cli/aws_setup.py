"""`pullpass aws setup` and `status`: what a cluster needs in its role's AWS account, made or mended, or only looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlencode

import click

from aws.arns import RoleArn, parse_role
from aws.setup.failures import SetupFailure
from aws.setup.plan import plan as plan_of
from aws.setup.steps import Plan
from aws.setup.wanted import PermissionsKind, Wanted
from cli import aws_plans, aws_wanted, output, session
from cli.aws_wanted import Choices
from cli.hub import Hub, HubError

Function = TypeVar("Function", bound=Callable[..., Any])

_PERMISSIONS = (
    click.option(
        "--permissions",
        type=click.Choice(["least", "pull-only"]),
        default="least",
        show_default=True,
        help="A policy for exactly these registries, or AWS's AmazonEC2ContainerRegistryPullOnly.",
    ),
    click.option(
        "--registry",
        "registries",
        multiple=True,
        metavar="HOST",
        help="least: a registry; repeatable; default: the cluster's.",
    ),
    click.option(
        "--repository",
        "repositories",
        multiple=True,
        metavar="NAME",
        help="least: a repository, or a glob such as 'team/*'; repeatable; default: all.",
    ),
    click.option(
        "--pull-through",
        multiple=True,
        metavar="PREFIX",
        help="least: the prefix of a pull-through cache rule; repeatable.",
    ),
    click.option("--public", is_flag=True, help="least: allow logging in to ECR Public too."),
    click.option(
        "--role-name",
        metavar="NAME",
        help="Make this role where the cluster has none yet (PATH/NAME with a path).",
    ),
)


def _permissions(function: Function) -> Function:
    decorated: Any = function
    for option in reversed(_PERMISSIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]  # click returns what it was given


@click.command()
@session.cluster_argument
@_permissions
@click.option(
    "--format",
    "printed",
    type=click.Choice(["cli", "cloudformation", "terraform", "json"]),
    help="Print it for somebody else to run, complete; asks AWS nothing and needs no AWS credentials.",
)
@aws_plans.options
@aws_plans.output_option
@session.options
def setup(
    *,
    hub: Hub,
    name: str,
    profile: str | None,
    role_name: str | None,
    printed: str | None,
    dry_run: bool,
    yes: bool,
    output_format: str,
    **given: Any,
) -> None:
    """Make in AWS what cluster NAME needs to pull, or mend it.

    The IAM OIDC provider with its audience, the role, its trust policy (statements of others stay as they are) and its
    permissions. Shows the plan and asks; run again it finds nothing to do. Needs AWS credentials for the role's account.
    """
    if printed is not None:
        click.echo(_printed(hub, name, role_name, _choices(given), printed), nl=False)
        return
    aws_plans.check_may_ask(dry_run=dry_run, yes=yes, output_format=output_format)
    for_people = output_format == "table"
    looked = _Look(hub, name, profile, role_name, _choices(given))
    plan, wanted = looked.plan, looked.wanted
    if for_people:
        aws_plans.show(plan)
    else:
        output.document(aws_plans.document(plan, wanted.role, wanted.other_sides), output_format)
    aws_plans.check_possible(plan)
    if not plan.steps and for_people:
        click.echo(f"AWS account {wanted.role.account} holds all that {name} needs.")
    if not dry_run:
        if plan.steps:
            if not yes:
                click.confirm(f"Do this in AWS account {wanted.role.account} as {looked.caller}?", abort=True)
            aws_plans.carry_out(looked.client, plan.steps, quiet=not for_people)
        _tell_the_hub(hub, name, looked, yes=yes, quiet=not for_people)
    if for_people:
        for line in aws_plans.for_the_other_sides(wanted.other_sides):
            click.echo(line)


@click.command()
@session.cluster_argument
@_permissions
@click.option("--profile", metavar="NAME", help="A profile of the AWS CLI; default: as the AWS CLI.")
@aws_plans.output_option
@session.options
def status(
    *, hub: Hub, name: str, profile: str | None, role_name: str | None, output_format: str, **given: Any
) -> None:
    """Compare what AWS holds with what cluster NAME needs. Exit code 1 when something is missing."""
    looked = _Look(hub, name, profile, role_name, _choices(given))
    plan, wanted = looked.plan, looked.wanted
    if output_format == "table":
        aws_plans.show(plan)
        aws_plans.check_possible(plan)
        if plan.steps:
            new = f" --role-name {role_name}" if looked.is_new else ""
            click.echo(f"  do: pullpass aws setup {name}{new}", err=True)
        else:
            click.echo(f"AWS account {wanted.role.account} holds all that {name} needs.")
    else:
        output.document(aws_plans.document(plan, wanted.role, wanted.other_sides), output_format)
    if plan.steps or plan.obstacles:
        click.get_current_context().exit(1)


class _Look:
    """What is wanted, what is there, and the plan between; `is_new` where the cluster has no role yet."""

    def __init__(
        self, hub: Hub, name: str, profile: str | None, role_name: str | None, choices: Choices
    ) -> None:
        from aws import iam, user_session  # noqa: PLC0415 - boto3 is slow to import

        cluster = aws_wanted.cluster_with_issuer(hub, name)
        known = _known_role(cluster, role_name)
        self.is_new = known is None
        try:
            caller = user_session.open_session(
                profile=profile, partition="aws" if known is None else known.partition
            )
            role = known or _new_role(role_name or "", caller.partition, caller.account)
            _check_account(role, caller.account, caller.arn)
            self.wanted: Wanted = aws_wanted.wanted_for(hub, cluster, role, choices, region=caller.region)
            self.client = caller.iam()
            state = iam.read_state(self.client, self.wanted, quotas=caller.service_quotas())
        except SetupFailure as failure:
            raise aws_plans.Refused(failure) from failure
        self.caller = caller.arn
        self.plan: Plan = plan_of(self.wanted, state)


def _printed(hub: Hub, name: str, role_name: str | None, choices: Choices, form: str) -> str:
    """The hub's own text: whoever asks, by whatever way, gets the same."""
    cluster = aws_wanted.cluster_with_issuer(hub, name)
    asked = [("format", form), ("permissions", str(choices.kind))]
    if _known_role(cluster, role_name) is None:
        asked.append(("roleName", role_name or ""))
    asked += [("registry", host) for host in choices.registries]
    asked += [("repository", repository) for repository in choices.repositories]
    asked += [("pullThrough", prefix) for prefix in choices.pull_through]
    asked += [("public", "true")] if choices.public else []
    return hub.text(f"{hub.cluster(name, '-addons', 'awsECR', 'setup')}?{urlencode(asked)}")


def _known_role(cluster: Mapping[str, Any], role_name: str | None) -> RoleArn | None:
    """The role that the cluster has; None where `role_name` is to be made for it."""
    name, known = cluster["name"], aws_wanted.role_of(cluster)
    if known is None and role_name is None:
        nodes = "aws" in cluster["spec"]["provider"]
        raise click.UsageError(
            f"{name} has no role yet: name the one to make with --role-name, or one that is there with"
            f" `pullpass addons enable {name} awsECR --role-arn ARN`"
            + (f"; to pull by the role of its nodes: `pullpass aws attach-node-role {name}`" if nodes else "")
        )
    if known is not None and role_name not in {None, known.name, f"{known.path}{known.name}".strip("/")}:
        raise click.UsageError(f"--role-name: {name} has the role {known} already")
    return known


def _choices(given: dict[str, Any]) -> Choices:
    try:
        return Choices(
            kind=PermissionsKind(given["permissions"]),
            repositories=given["repositories"],
            pull_through=given["pull_through"],
            registries=given["registries"],
            public=given["public"],
        )
    except ValueError:
        raise click.UsageError(
            "--repository, --pull-through and --public go with --permissions least"
        ) from None


def _new_role(text: str, partition: str, account: str) -> RoleArn:
    try:
        return parse_role(f"arn:{partition}:iam::{account}:role/{text.lstrip('/')}")
    except ValueError as error:
        raise click.UsageError(f"--role-name: {error}") from None


def _check_account(role: RoleArn, account: str, caller: str) -> None:
    if role.account != account:
        raise click.ClickException(
            f"the role {role} is in account {role.account}, and these credentials ({caller}) are for {account}\n"
            "  do: pass --profile with one of the role's account"
        )


def _tell_the_hub(hub: Hub, name: str, looked: _Look, *, yes: bool, quiet: bool) -> None:
    """The role, where the cluster has none yet; else that there is something to look at, so that nobody waits for it."""
    follow = f"follow it: pullpass clusters wait {name} --for Ready"
    if looked.is_new:
        role_arn = str(looked.wanted.role)
        if not yes and not click.confirm(f"Give {name} the role {role_arn}?", default=True):
            click.echo(f"later: pullpass addons enable {name} awsECR --role-arn {role_arn}", err=True)
            return
        hub.request("PATCH", hub.cluster(name), {"spec": {"addOns": {"awsECR": {"roleArn": role_arn}}}})
        told = f"{name} uses {role_arn} now; {follow}"
    elif looked.plan.steps:
        with suppress(HubError):  # a viewer's token will do for all else
            hub.request("POST", hub.cluster(name, "-look"))
        told = follow
    else:
        return
    if not quiet:
        click.echo(told)
