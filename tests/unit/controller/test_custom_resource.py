import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controller import custom_resource
from kube.objects import ECR_PULL_SECRET

PAGE = (Path(__file__).parents[3] / "docs/reference/ecrpullsecret.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", PAGE)


def version() -> dict[str, Any]:
    (version,) = custom_resource.definition()["spec"]["versions"]
    return dict(version)


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field below a schema, by its path."""
    for name, member in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, member
        yield from fields(member, here)
    if "items" in schema:
        yield from fields(schema["items"], f"{path}[]")


def below(member: str) -> dict[str, dict[str, Any]]:
    return dict(fields(version()["schema"]["openAPIV3Schema"]["properties"][member]))


def is_leaf(member: dict[str, Any]) -> bool:
    return not member.get("properties") and "properties" not in member.get("items", {})


def test_every_field_is_documented_by_its_path() -> None:
    paths = [
        path for member in ("spec", "status") for path, schema in below(member).items() if is_leaf(schema)
    ]
    assert [] == [path for path in paths if path.removeprefix("identity.") not in CODE]
    assert len(paths) > 30


def test_every_field_has_a_description() -> None:
    described = {**below("spec"), **below("status")}
    assert [] == [path for path, member in described.items() if not member.get("description")]


def test_every_rule_has_a_message_and_every_text_a_bound() -> None:
    def unbounded(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for rule in schema.get("x-kubernetes-validations", ()):
            if not rule.get("message"):
                yield rule
        if (
            schema.get("x-kubernetes-validations")
            and schema["type"] == "string"
            and "maxLength" not in schema
        ):
            yield schema
        for member in (*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])):
            yield from unbounded(member)

    assert [] == list(unbounded(version()["schema"]["openAPIV3Schema"]))


def test_the_definition_is_of_the_kind_that_the_agent_serves() -> None:
    spec = custom_resource.definition()["spec"]
    assert ECR_PULL_SECRET.api_version == f"{spec['group']}/{version()['name']}"
    assert (ECR_PULL_SECRET.kind, ECR_PULL_SECRET.plural) == (spec["names"]["kind"], spec["names"]["plural"])
    assert "Cluster" == spec["scope"]


def test_short_names_are_not_those_of_the_older_tool() -> None:
    assert "ecrps" not in custom_resource.definition()["spec"]["names"]["shortNames"]
