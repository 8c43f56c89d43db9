"""Creating a cluster by a form: a name, where it runs, and the add-ons to switch on. YAML is one click away.

The form only writes the manifest that `curl` would send; the API checks it, and its mistakes come back at their field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from fleet.records import Role
from web import completion, connecting, editing, manifests
from web.api import Mistake, Refused
from web.routing import Page, context, principal

_DEFAULT_VERSION = "1.34.4"


@dataclass(frozen=True)
class Field:
    """One field of a provider; `path` is its place in the manifest below `spec.provider.NAME`."""

    path: tuple[str, ...]
    label: str
    example: str = ""
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the form calls it."""
        return ".".join(self.path)


# Those that a manifest cannot do without; everything else is for YAML.
PROVIDERS: Mapping[str, tuple[Field, ...]] = {
    "generic": (Field(("location",), "Location", "aws-eu-central-1"),),
    "hetzner": (
        Field(("region",), "Region", choices=("fsn1", "nbg1", "hel1", "ash", "hil")),
        Field(("networkId",), "Network id", "1234"),
        Field(("image",), "Image", "ubuntu-24.04"),
        Field(("tokenSecretLink",), "Link to the secret with the Hetzner token", "//secret/hetzner"),
    ),
    "aws": (
        Field(("region",), "Region", "eu-central-1"),
        Field(("deployRoleArn",), "Deploy role", "arn:aws:iam::123456789012:role/deploy"),
        Field(("vpcId",), "VPC", "vpc-0a1b2c3d"),
        Field(("image", "recommended"), "Image", "amazon/al2023"),
    ),
}
_TITLES = {"generic": "Anywhere", "hetzner": "Hetzner", "aws": "AWS"}


def show() -> str:
    """The form."""
    return _form(request.args)


def create() -> Response | str | tuple[str, int]:
    """Creates the cluster, or shows the form again: with its mistakes, for another provider, or as YAML."""
    sent = request.form
    if "choose" in sent:
        return _form(sent)
    if "yaml" in sent:
        return editing.editor_of(manifests.dump(_manifest(sent)))
    try:
        written = context().api.call(principal(), "POST", "mk8s", body=_manifest(sent))
    except Refused as refused:
        if refused.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT):
            raise
        mistakes = refused.mistakes or (Mistake("$.name", refused.message, "choose another name"),)
        return _form(sent, mistakes), HTTPStatus.UNPROCESSABLE_ENTITY
    return redirect(connecting.after_creating(written.body["name"]), HTTPStatus.SEE_OTHER)


def _manifest(sent: Mapping[str, str]) -> dict[str, Any]:
    """What the form says, with nothing in it that was left empty."""
    provider = _provider(sent)
    add_ons = _add_ons(sent)
    registries = sent.get("registries", "").replace(",", " ").split()
    manifest: dict[str, Any] = {"kind": "mk8s", "name": sent.get("name", "").strip()}
    if description := sent.get("description", "").strip():
        manifest["description"] = description
    manifest["spec"] = {
        "version": sent.get("version", "").strip(),
        "provider": {provider: _body(sent, provider)},
    }
    if add_ons:
        manifest["spec"]["addOns"] = add_ons
    if "awsECR" in add_ons and registries:
        manifest["settings"] = {"awsECR": {"registries": registries}}
    return manifest


def _body(sent: Mapping[str, str], provider: str) -> dict[str, Any]:
    body: dict[str, Any] = {} if provider == "generic" else {"nodePools": []}
    for field in PROVIDERS[provider]:
        place = body
        for step in field.path[:-1]:
            place = place.setdefault(step, {})
        if value := sent.get(f"{provider}.{field.name}", "").strip():
            place[field.path[-1]] = value
    return body


def _add_ons(sent: Mapping[str, str]) -> dict[str, Any]:
    if not sent.get("awsECR"):
        return {"awsWorkloadIdentity": {}} if sent.get("awsWorkloadIdentity") else {}
    role = sent.get("roleArn", "").strip()
    return {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": role} if role else {}}


def _provider(sent: Mapping[str, str]) -> str:
    chosen = sent.get("provider", "generic")
    return chosen if chosen in PROVIDERS else "generic"


def _form(sent: Mapping[str, str], mistakes: tuple[Mistake, ...] = ()) -> str:
    provider = _provider(sent)
    places = {
        "$.name": "name",
        "$.description": "description",
        "$.spec.version": "version",
        "$.spec.addOns.awsECR.roleArn": "roleArn",
        **{
            f"$.spec.provider.{provider}.{field.name}": f"{provider}.{field.name}"
            for field in PROVIDERS[provider]
        },
    }
    at_field: dict[str, Mistake] = {}
    elsewhere = []
    for mistake in mistakes:
        name = (
            "registries"
            if mistake.path.startswith("$.settings.awsECR.registries")
            else places.get(mistake.path)
        )
        if name is None or name in at_field:
            elsewhere.append(mistake)
        else:
            at_field[name] = mistake
    return render_template(
        "new.html",
        sent=sent,
        first="form_key" not in sent,
        version=sent.get("version", _DEFAULT_VERSION),
        provider=provider,
        providers=_TITLES,
        fields=PROVIDERS[provider],
        kept=_kept(sent, provider),
        others=_others(),
        at_field=at_field,
        elsewhere=elsewhere,
        section="clusters",
    )


def _kept(sent: Mapping[str, str], provider: str) -> dict[str, str]:
    """What was typed for the other providers: it is there again when one of them is chosen after all."""
    names = [
        f"{other}.{field.name}" for other in PROVIDERS if other != provider for field in PROVIDERS[other]
    ]
    return {name: sent[name] for name in names if sent.get(name)}


def _others() -> list[str]:
    """The providers that have no form: the API names them all."""
    known = completion.of_manifests(context().api.description(principal()))
    names = known["members"]["spec"]["members"]["provider"]["members"]
    return sorted(set(names) - set(PROVIDERS))


PAGES = (
    Page("GET", "/clusters/-new", show, Role.EDITOR),
    Page("POST", "/clusters/-new", create, Role.EDITOR),
)
