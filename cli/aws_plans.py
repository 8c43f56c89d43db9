"""A plan for AWS as a person meets it: shown, asked for, carried out step by step. Used by the commands of `pullpass aws`.

Exit codes: 0 done or nothing to do, 1 refused or not possible, 2 usage.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

from aws.arns import RoleArn
from aws.setup.failures import SetupFailure
from aws.setup.steps import Plan, Step, to_row
from aws.setup.wanted import REGISTRY_POLICY_SCOPE, OtherSide
from cli import following, output
from reconcile.clock import SystemClock

Function = TypeVar("Function", bound=Callable[..., Any])

_DONE = click.style("✓", fg="green")
_OPTIONS = (
    # No envvar: boto3 reads AWS_PROFILE itself, and gives way to keys in the environment as the AWS CLI does.
    click.option(
        "--profile",
        metavar="NAME",
        help="A profile of the AWS CLI; default: as the AWS CLI.",
    ),
    click.option("--dry-run", is_flag=True, help="Show what would be done and stop."),
    click.option("-y", "--yes", is_flag=True, help="Do not ask."),
)
_OUTPUT = click.option(
    "-o",
    "--output",
    "output_format",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
)


def options(function: Function) -> Function:
    """Adds `--profile`, `--dry-run` and `--yes`."""
    decorated: Any = function
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]  # click returns what it was given


def output_option(function: Function) -> Function:
    """Adds `-o/--output table|json|yaml`: a plan has no names."""
    return _OUTPUT(function)


class Refused(click.ClickException):
    """AWS said no, or was not asked at all; exit code 1."""

    def __init__(self, failure: SetupFailure) -> None:
        words = f"AWS refused {failure.action}" if failure.code else f"{failure.action} failed"
        super().__init__(f"{words}: {failure.message}")


def check_may_ask(*, dry_run: bool, yes: bool, output_format: str) -> None:
    """Before anything is read: whether the person can be asked at all.

    Raises:
        click.UsageError: there is nobody to ask, or what is printed is for a program.
    """
    if dry_run or yes:
        return
    if output_format != "table" or not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: pass --yes to do it, or --dry-run to see it")


def document(plan: Plan, role: RoleArn | None, sides: Sequence[OtherSide] = ()) -> dict[str, Any]:
    """The plan for programs."""
    return {
        "roleArn": None if role is None else str(role),
        "steps": [to_row(step) for step in plan.steps],
        "obstacles": [
            {"code": obstacle.code, "message": obstacle.message, "remedy": obstacle.remedy}
            for obstacle in plan.obstacles
        ],
        "notes": list(plan.notes),
        "otherSides": [
            {
                "account": side.account,
                "region": side.region,
                "registryPolicyScope": REGISTRY_POLICY_SCOPE[1],
                "registryPolicy": side.registry_policy,
                "repositoryPolicy": side.repository_policy,
            }
            for side in sides
        ],
    }


def show(plan: Plan) -> None:
    """Prints steps as a table, then notes; obstacles last."""
    if plan.steps:
        rows = [
            {name: value for name, value in to_row(step).items() if name != "permission"}
            for step in plan.steps
        ]
        click.echo(output.table(rows) if sys.stdout.isatty() else output.lines(rows))
    for note in plan.notes:
        click.echo(f"note: {note}", err=True)


def check_possible(plan: Plan) -> None:
    """Ends the command where the plan cannot be carried out.

    Raises:
        click.ClickException: there is an obstacle; exit code 1.
    """
    if plan.obstacles:
        told = [
            f"{obstacle.code}: {obstacle.message}\n  do: {obstacle.remedy}" for obstacle in plan.obstacles
        ]
        raise click.ClickException("\n".join(told))


def carry_out(client: Any, steps: Sequence[Step], *, quiet: bool) -> None:
    """Each step, told when it is done.

    Raises:
        Refused: AWS said no; what was done before stays, and the same command goes on from there.
    """
    from aws import iam  # noqa: PLC0415 - boto3 is slow to import

    clock = SystemClock()
    try:
        for step in iam.execute(client, steps, wait=lambda seconds: following.pause(clock, seconds)):
            if not quiet:
                click.echo(f"{_DONE} {step.verb} {step.target}: {step.summary}")
    except SetupFailure as failure:
        raise Refused(failure) from failure


def for_the_other_sides(sides: Sequence[OtherSide]) -> Iterator[str]:
    """What the owners of registries in other accounts have to run, ready to paste."""
    name, value = REGISTRY_POLICY_SCOPE
    for side in sides:
        yield (
            f"The registry of account {side.account} in {side.region} has to allow the role too. With that account's"
            " credentials, once for the whole registry (it replaces a registry policy that is there:"
            f" aws ecr get-registry-policy --region {side.region}):"
        )
        yield f"  aws ecr put-account-setting --region {side.region} --name {name} --value {value}"
        yield (
            f"  aws ecr put-registry-policy --region {side.region} --policy-text "
            + shlex.quote(json.dumps(side.registry_policy, separators=(",", ":")))
        )
        yield "or for each repository by itself:"
        yield (
            f"  aws ecr set-repository-policy --region {side.region} --repository-name REPOSITORY --policy-text "
            + shlex.quote(json.dumps(side.repository_policy, separators=(",", ":")))
        )
