"""What AWS needs for a cluster, written for a tool that people already use: commands, CloudFormation, Terraform, JSON.

The same text as `pullpass aws setup --format`, and the same effect as `pullpass aws setup` on an account that holds none
of it. Asks AWS nothing.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from flask import Response, request

from addon_api import representation, role_members
from addon_api.routing import Context, Route, context
from addon_api.trust_policies import refuse_too_long
from aws import issuers
from aws.arns import RoleArn, parse_role
from aws.setup.formats import CONTENT_TYPES, FILE_NAMES, FORMATS
from aws.setup.members import Choices, wanted_for
from aws.setup.wanted import PermissionsKind, Wanted
from aws.trust_policy import ACCOUNT_PLACEHOLDER
from fleet import clusters, queries
from fleet.records import Cluster, ClusterKey, Role
from schemas import query
from schemas.errors import Invalid, Mistake, NotFound, Unprocessable
from schemas.status import Json

_PAGE = 500
_NEW_ROLE = "pullpass"
_ANY_ACCOUNT = "0" * 12

Word = TypeVar("Word", bound=StrEnum)


class _Format(StrEnum):
    """The words of `?format=`."""

    CLI = "cli"
    CLOUDFORMATION = "cloudformation"
    TERRAFORM = "terraform"
    JSON = "json"


class _Flag(StrEnum):
    TRUE = "true"
    FALSE = "false"


def show(org: str, name: str) -> Response:
    """The text, as a file."""
    here = context()
    form = _word("format", _Format, _Format.JSON)
    wanted = _wanted(here, clusters.read(here.database, ClusterKey(org, name)))
    refuse_too_long(wanted.trust_policy, quota=here.settings.trust_policy_quota, sharers=len(wanted.trusted))
    headers = {"Content-Disposition": f'attachment; filename="{name}-{FILE_NAMES[form]}"'}
    content_type = CONTENT_TYPES[form]
    if content_type.startswith("text/"):
        content_type += "; charset=utf-8"
    return Response(FORMATS[form](wanted), headers=headers, content_type=content_type)


def _wanted(here: Context, cluster: Cluster) -> Wanted:
    shown = representation.without_policies(cluster)
    name, org = cluster.key.name, cluster.key.org
    _check_issuer(name, shown)
    role = _role(name, shown)
    members = role_members.members_of(role, shown, _sharing(here, org, role))
    if not members:
        raise NotFound(
            f"{name} assumes no role: its nodes use the role of their instances, or stored keys do"
        )
    choices = _choices()
    try:
        return wanted_for(role, org, members, choices, region=request.args.get("region"))
    except ValueError as error:
        raise Invalid(str(error)) from None


def _check_issuer(name: str, cluster: Json) -> None:
    if role_members.add_on_of(cluster) is None:
        raise NotFound(
            f"awsECR is not enabled on {name}: enable it, then ask again (pullpass addons enable {name} awsECR)"
        )
    issuer = role_members.issuer_of(cluster)
    if issuer is None:
        raise NotFound(
            f"the OIDC provider URL of {name} is not known yet, so there is nothing to tell AWS:"
            f" connect the cluster, or see `pullpass clusters get {name}` for what is in the way"
        )
    verdict = issuers.judge(issuer)
    if not verdict.usable:
        raise Unprocessable(
            f"{verdict.message}: let the hub publish the issuer (settings.awsWorkloadIdentity.issuer: published),"
            " or give the API server a public one",
            code="IssuerNotUsable",
        )


def _role(name: str, cluster: Json) -> RoleArn:
    """The cluster's role; else one that is yet to be made, in an account that is not known."""
    known, asked = role_members.role_of(cluster), request.args.get("roleName")
    if known is not None:
        if asked not in {None, known.name, f"{known.path}{known.name}".strip("/")}:
            raise Invalid.because_of([Mistake("?roleName", f"{name} has the role {known} already")])
        return known
    provider = cluster["spec"]["provider"].get("aws")
    if asked is None and provider is not None:
        raise NotFound(
            f"{name} has no roleArn: its nodes use the role of their instances, which"
            f" `pullpass aws attach-node-role {name}` lets pull; for a role of its own, ask with ?roleName="
        )
    partition = "aws" if provider is None else parse_role(provider["deployRoleArn"]).partition
    path = (asked or _NEW_ROLE).lstrip("/")
    try:
        role = parse_role(f"arn:{partition}:iam::{_ANY_ACCOUNT}:role/{path}")
    except ValueError as error:
        raise Invalid.because_of([Mistake("?roleName", str(error))]) from None
    return replace(role, account=ACCOUNT_PLACEHOLDER)


def _sharing(here: Context, org: str, role: RoleArn) -> list[Json]:
    if role.account == ACCOUNT_PLACEHOLDER:
        return []
    wanted = query.parse(role_members.sharing_query(role))
    found: list[Json] = []
    after = None
    while True:
        page = queries.page(
            here.database, org, wanted, representation.without_policies, after=after, limit=_PAGE
        )
        found += map(representation.without_policies, page.items)
        after = page.after
        if after is None:
            return found


def _choices() -> Choices:
    asked = request.args
    kind = _word("permissions", PermissionsKind, PermissionsKind.LEAST)
    public = _word("public", _Flag, _Flag.FALSE) is _Flag.TRUE
    try:
        return Choices(
            kind=kind,
            repositories=tuple(asked.getlist("repository")),
            pull_through=tuple(asked.getlist("pullThrough")),
            registries=tuple(asked.getlist("registry")),
            public=public,
        )
    except ValueError as error:
        raise Invalid.because_of([Mistake("?permissions", str(error))]) from None


def _word(parameter: str, words: type[Word], default: Word) -> Word:
    text = request.args.get(parameter, default)
    try:
        return words(text)
    except ValueError:
        expected = ", ".join(words)
        raise Invalid.because_of([Mistake(f"?{parameter}", f"expected one of {expected}")]) from None


ROUTES = (
    Route(
        "GET",
        "/org/<org>/mk8s/<name>/-addons/awsECR/setup",
        show,
        Role.VIEWER,
        "What AWS needs, as commands, CloudFormation, Terraform or JSON",
        answers={200: "Setup"},
        query={
            "format": "`cli`, `cloudformation`, `terraform` or `json`, which is the default",
            "permissions": "`least`, the default, or `pull-only` for AmazonEC2ContainerRegistryPullOnly",
            "registry": "least: a registry; may be repeated; those of the clusters unless told",
            "region": "least: where no registry is known, the region of the role's account that has one",
            "repository": "least: a repository or a glob; may be repeated; all unless told",
            "pullThrough": "least: the prefix of a pull-through cache rule; may be repeated",
            "public": "least: `true` to allow logging in to ECR Public too",
            "roleName": "the role to make where the cluster has none, with its path; `pullpass` unless told",
        },
    ),
)
