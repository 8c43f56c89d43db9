from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema, fields

from schemas.addons import ADD_ONS, NOT_SERVED
from schemas.documents import read_yaml
from schemas.manifest import DESCRIPTION_LIMIT, TAG_LIMIT, ManifestSchema, SettingsSchema, parse

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "manifest.md").read_text(encoding="utf-8")
SETTINGS = PAGE.partition("## Settings")[2].partition("\n## ")[0]


def inner_schema(field: fields.Field[Any]) -> Schema | None:
    if isinstance(field, fields.List):
        field = field.inner
    return field.schema if isinstance(field, fields.Nested) else None


def members(schema: Schema, path: str = "") -> Iterator[str]:
    """The paths of all members that hold no schema of their own."""
    for name, field in schema.fields.items():
        inner = inner_schema(field)
        if inner is None:
            yield f"{path}{name}"
        else:
            yield from members(inner, f"{path}{name}.")


def names(schema: Schema) -> Iterator[str]:
    for name, field in schema.fields.items():
        yield name
        inner = inner_schema(field)
        if inner is not None:
            yield from names(inner)


def test_the_table_of_settings_holds_every_member_and_no_other() -> None:
    rows = re.findall(r"^\| `([A-Za-z.]+)` \|", SETTINGS, re.MULTILINE)
    assert sorted(rows) == sorted(members(SettingsSchema()))


@pytest.mark.parametrize("name", sorted({*names(ManifestSchema()), *NOT_SERVED, *ADD_ONS}))
def test_every_name_of_the_manifest_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE or f"**{name}**" in PAGE


@pytest.mark.parametrize("limit", [f"at most {DESCRIPTION_LIMIT} bytes", f"at most {TAG_LIMIT}"])
def test_the_limits_are_the_documented_ones(limit: str) -> None:
    assert limit in PAGE


def test_the_example_is_a_manifest() -> None:
    example = PAGE.partition("```yaml\n")[2].partition("```")[0]
    document = read_yaml(example.encode())
    assert parse(document, document["settings"]).name == "demo"
