from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from addon_api.routing import Context
from tests.support.hub import Hub, manifest

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "api.md"


def described(rule: str) -> str:
    """A rule of Flask's as OpenAPI writes it."""
    return re.sub("<([a-z_]+)>", r"{\1}", rule)


def document(hub: Hub) -> dict[str, Any]:
    answer = hub.get("/openapi.json", caller="viewer")
    assert answer.json is not None
    return dict(answer.json)


def routes(hub: Hub) -> set[str]:
    """Every route that Flask would serve, as a reader writes it."""
    return {
        f"{method} {described(rule.rule)}"
        for rule in hub.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    }


def test_every_route_is_in_the_document_and_no_other(hub: Hub) -> None:
    listed = {
        f"{method.upper()} {path}" for path, methods in document(hub)["paths"].items() for method in methods
    }
    assert listed == routes(hub)


def test_every_route_is_in_the_reference_and_no_other(hub: Hub) -> None:
    written = set(re.findall(r"^#### `([A-Z]+ /\S*)`$", REFERENCE.read_text(), re.MULTILINE))
    assert written == routes(hub)


def test_every_route_states_who_may_call_it_in_the_reference(hub: Hub) -> None:
    text = REFERENCE.read_text()
    context: Context = hub.app.extensions["pullpass"]
    for route in context.routes.values():
        heading = f"#### `{route.method} {described(route.path)}`\n\n"
        role = "Open." if route.role is None else f"Role: {route.role.name.lower()}."
        assert text.partition(heading)[2].startswith(role), f"{heading.strip()}: {role}"


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(references(inner) for inner in value.values()))
    if isinstance(value, list):
        return set().union(*(references(inner) for inner in value))
    return set()


def test_every_reference_leads_to_a_schema(hub: Hub) -> None:
    whole = document(hub)
    schemas = {f"#/components/schemas/{name}" for name in whole["components"]["schemas"]}
    assert references(whole) - schemas == set()


def test_it_is_openapi_3_1_and_asks_for_a_token(hub: Hub) -> None:
    whole = document(hub)
    assert (whole["openapi"], whole["security"]) == ("3.1.0", [{"token": []}])
    assert whole["paths"]["/healthz"]["get"]["security"] == []


def test_path_parameters_are_those_of_the_path(hub: Hub) -> None:
    for path, methods in document(hub)["paths"].items():
        for operation in methods.values():
            named = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"]
            assert named == re.findall("{([a-z_]+)}", path)


def test_operation_ids_are_unique(hub: Hub) -> None:
    ids = [
        operation["operationId"]
        for methods in document(hub)["paths"].values()
        for operation in methods.values()
    ]
    assert len(ids) == len(set(ids))


def test_a_cluster_holds_what_its_schema_requires_and_nothing_else(hub: Hub) -> None:
    hub.put(manifest())
    schema = document(hub)["components"]["schemas"]["Cluster"]
    assert sorted(hub.show("demo")) == sorted(schema["required"]) == sorted(schema["properties"])


def test_the_manifest_is_described_in_full(hub: Hub) -> None:
    schemas = document(hub)["components"]["schemas"]
    for name, member in {
        "Manifest": "spec",
        "Spec": "addOns",
        "AddOns": "awsECR",
        "Settings": "awsECR",
    }.items():
        assert member in schemas[name]["properties"]


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]


def test_the_page_loads_nothing_from_anywhere(hub: Hub) -> None:
    answer = hub.get("/openapi", caller="viewer")
    assert answer.content_type == "text/html; charset=utf-8"
    page = Page()
    page.feed(answer.text)
    assert {"script", "link", "img", "iframe"}.isdisjoint(page.tags)
    assert [link for link in page.links if not link.startswith("#")] == ["openapi.json"]
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_the_pages_links_lead_to_schemas(hub: Hub) -> None:
    text = hub.get("/openapi").text
    for target in re.findall('href="#([^"]+)"', text):
        assert f'id="{target}"' in text
