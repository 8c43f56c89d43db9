"""What AWS needs, written for the tool that somebody uses already: a tab for each, with copy and download.

A tab is a link to the cluster's page; where scripts run, only the part below the tabs is asked for. Part of
`web.cluster_page`.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from flask import Response as Download
from flask import render_template, request
from werkzeug.wrappers import Response

from web.api import Refused
from web.routing import Page, context, principal


@dataclass(frozen=True)
class Variant:
    """One format of the API's; `label` is the tab's, `words` say what to do with the text."""

    key: str
    label: str
    words: str
    file: str


VARIANTS = (
    Variant("cli", "AWS CLI", "A script for bash. Read it, then run it whole or line by line.", "setup.sh"),
    Variant(
        "cloudformation",
        "CloudFormation",
        "A template for a stack of its own. Its parameters leave out an OIDC provider that is there already.",
        "pullpass.yaml",
    ),
    Variant(
        "terraform",
        "Terraform",
        "For hashicorp/aws. The commands beside it import what is there already.",
        "pullpass.tf",
    ),
    Variant("json", "JSON", "The plan itself, for a tool of your own.", "pullpass.json"),
)
_BY_KEY = {variant.key: variant for variant in VARIANTS}


@dataclass(frozen=True)
class Setup:
    """What the tabs show; `problem` is the API's word where there is nothing to print."""

    chosen: Variant
    text: str
    problem: str = ""
    variants: tuple[Variant, ...] = VARIANTS


def of_cluster(name: str) -> Setup:
    """As `?setup=` of this request asks for it; the first variant where it does not."""
    chosen = _BY_KEY.get(request.args.get("setup", ""), VARIANTS[0])
    try:
        return Setup(chosen, _text(name, chosen))
    except Refused as refused:
        if refused.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}:
            raise
        return Setup(chosen, "", refused.message)


def show(name: str) -> str:
    """The tabs alone, for a script that puts them into the page."""
    return render_template("cluster_aws_setup.html", name=name, setup=of_cluster(name))


def download(name: str, form: str) -> Response:
    """One variant as a file."""
    variant = _BY_KEY.get(form)
    if variant is None:
        raise Refused(HTTPStatus.NOT_FOUND, "NOT_FOUND", f"there is no format {form}")
    headers = {"Content-Disposition": f'attachment; filename="{name}-{variant.file}"'}
    return Download(_text(name, variant), headers=headers, content_type="text/plain; charset=utf-8")


def _text(name: str, variant: Variant) -> str:
    path = ("mk8s", name, "-addons", "awsECR", "setup")
    return context().api.text(principal(), *path, format=variant.key)


PAGES = (
    Page("GET", "/clusters/<name>/aws-setup", show),
    Page("GET", "/clusters/<name>/aws-setup/<form>", download),
)
