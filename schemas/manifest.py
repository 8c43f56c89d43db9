"""The `mk8s` manifest: a typed view of what the user sent, and the refusal of what is wrong in it.

`parse` reads a whole document; the stored document is what was sent, the view is never dumped back.
Called by `addon_api` (before a write) and by `controller` (to read what is wanted).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from marshmallow import ValidationError, fields

from schemas.addons import ADD_ONS, NOT_SERVED, aws_ecr, aws_workload_identity
from schemas.addons.aws_ecr import AwsEcr
from schemas.addons.aws_workload_identity import AwsWorkloadIdentity
from schemas.addons.schema import ROLE_ARN, AddOnSchema, View
from schemas.errors import Invalid, Mistake, json_path
from schemas.fields import Choice, ListOf, Network, Object, Text
from schemas.providers import PROVIDERS, ProviderSchema
from schemas.structure import Wrong, check, strict, wrong, wrong_place

DESCRIPTION_LIMIT = 250  # bytes of UTF-8
TAG_LIMIT = 50
NAME = re.compile(r"(?=.{3,63}\Z)[a-z][-a-z0-9]*[a-z0-9]", re.ASCII)

_SERVED = f"served are {', '.join(sorted(ADD_ONS))}"
_SERVER_OWNED = ("id", "alias", "version", "created", "lastModified", "links", "status")


class _Description(Text):
    """Text whose length counts in bytes, as the wire contract has it."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        text = super()._deserialize(value)
        if len(text.encode()) > DESCRIPTION_LIMIT:
            raise wrong(f"expected at most {DESCRIPTION_LIMIT} bytes, got {len(text.encode())}")
        return text


class _Tags(fields.Dict):
    """Tags: texts, numbers and booleans by name; those of `cpln/` are a tool's own and do not count."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise wrong("expected an object")
        wrongs = {
            key: [Wrong("expected text, a number, true or false")]
            for key, item in value.items()
            if not isinstance(item, str | int | float | None)
        }
        if wrongs:
            raise ValidationError(wrongs)
        count = sum(not key.startswith("cpln/") for key in value)
        if count > TAG_LIMIT:
            raise wrong(f"expected at most {TAG_LIMIT} tags, got {count}", "tags of `cpln/` do not count")
        return dict(value)


AddOnsSchema = strict(
    "AddOns",
    {key: Object(add_on.spec) for key, add_on in ADD_ONS.items()},
    elsewhere={key: Wrong("is an add-on that is not served", _SERVED) for key in NOT_SERVED},
)
SpecSchema = strict(
    "Spec",
    {
        "version": Text("a Kubernetes version such as '1.34.1'", required=True),
        "firewall": ListOf(
            Object(strict("FirewallRule", {"sourceCIDR": Network(required=True), "description": Text()}))
        ),
        "provider": Object(ProviderSchema, required=True),
        "addOns": Object(AddOnsSchema),
    },
    elsewhere={
        **wrong_place(ADD_ONS, "spec.addOns"),
        **wrong_place(PROVIDERS, "spec.provider"),
        "settings": Wrong("stands in the wrong place", "it belongs beside `spec`, not in it"),
    },
)
SettingsSchema = strict("Settings", {key: Object(add_on.settings) for key, add_on in ADD_ONS.items()})
ManifestSchema = strict(
    "Manifest",
    {
        "kind": Choice("mk8s"),
        "name": Text(
            "3 to 63 characters of a-z, 0-9 and -, the first a letter and the last no -",
            required=True,
            pattern=NAME,
        ),
        "description": _Description(f"text of at most {DESCRIPTION_LIMIT} bytes"),
        "tags": _Tags(allow_none=True),
        "spec": Object(SpecSchema, required=True),
        "settings": fields.Raw(
            allow_none=True
        ),  # read apart: a write may leave it out and keep the stored one
        **{key: fields.Raw(allow_none=True) for key in _SERVER_OWNED},
    },
    elsewhere=wrong_place(("provider", "addOns", "firewall"), "spec"),
)


@dataclass(frozen=True)
class Manifest:
    """The typed view of one cluster's wishes.

    `provider` is the wire name (`generic`, `hetzner`, `aws`, …). `region` and `account` are known for
    provider aws (`spec.provider.aws.region`, the account of `deployRoleArn`), else None. An add-on that is
    not enabled is None.
    """

    name: str
    description: str
    tags: Mapping[str, Any]
    provider: str
    region: str | None
    account: str | None
    aws_ecr: AwsEcr | None
    aws_workload_identity: AwsWorkloadIdentity | None


def parse(document: Mapping[str, Any], settings: Mapping[str, Any]) -> Manifest:
    """The view of `document` (kind, name, description, tags, spec) with `settings` beside it.

    The members that the server owns (id, alias, version, created, lastModified, links, status) are ignored, and so
    is a `settings` in `document`: the caller decides whose settings count. Settings of an add-on that is not enabled
    are checked and have no effect.

    Raises:
        schemas.errors.Invalid: with every mistake at once.
    """
    read = check(ManifestSchema, document)
    read_settings = check(SettingsSchema, settings, "$.settings")
    mistakes = [
        *read.mistakes,
        *_add_on_mistakes(document),
        *(read_settings.mistakes or _contradictions(settings)),
    ]
    if mistakes:
        raise Invalid.because_of(mistakes)
    spec = cast("Mapping[str, Any]", document["spec"])
    provider = _provider(spec)
    aws: Mapping[str, Any] = spec["provider"]["aws"] if provider == "aws" else {}
    role = ROLE_ARN.fullmatch(aws.get("deployRoleArn", ""))
    return Manifest(
        name=document["name"],
        description=document.get("description") or "",
        tags=dict(document.get("tags") or {}),
        provider=provider or "",
        region=aws.get("region"),
        account=None if role is None else role["account"],
        aws_ecr=_enabled(aws_ecr.SCHEMA, spec, settings),
        aws_workload_identity=_enabled(aws_workload_identity.SCHEMA, spec, settings),
    )


def _add_on_mistakes(document: object) -> list[Mistake]:
    """What is wrong between add-ons and provider; `document` may still be of any shape."""
    spec = _member(document, "spec")
    add_ons = _member(spec, "addOns")
    enabled = {key for key in ADD_ONS if add_ons.get(key) is not None}
    provider = _provider(spec)
    mistakes = []
    for key in sorted(enabled):
        path = json_path("$.spec.addOns", key)
        supported = ADD_ONS[key].providers
        if provider is not None and provider not in supported:
            mistakes.append(
                Mistake(
                    path,
                    f"is not supported on provider `{provider}`",
                    f"remove it, or use one of {', '.join(supported)}",
                )
            )
        mistakes.extend(
            Mistake(path, f"requires the add-on `{required}`", f"add `{required}: {{}}` to `spec.addOns`")
            for required in ADD_ONS[key].requires
            if required not in enabled
        )
    return mistakes


def _contradictions(settings: Mapping[str, Any]) -> list[Mistake]:
    return [
        replace(mistake, path=json_path("$.settings", key) + mistake.path.removeprefix("$"))
        for key, add_on in ADD_ONS.items()
        for mistake in add_on.contradictions(settings.get(key) or {})
    ]


def _provider(spec: Mapping[str, Any]) -> str | None:
    """The one provider that `spec` names; None when it names none or several."""
    body = _member(spec, "provider")
    given = [name for name in PROVIDERS if body.get(name) is not None]
    return given[0] if len(given) == 1 else None


def _member(document: object, key: str) -> Mapping[str, Any]:
    """The object `key` of `document`; an empty one where either is none."""
    value = document.get(key) if isinstance(document, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _enabled(schema: AddOnSchema[View], spec: Mapping[str, Any], settings: Mapping[str, Any]) -> View | None:
    """The view of an add-on, or None when it is absent or null."""
    body = _member(spec, "addOns").get(schema.key)
    return None if body is None else schema.view(body, settings.get(schema.key) or {})
