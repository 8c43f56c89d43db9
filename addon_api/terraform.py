"""A cluster as the HCL of `terraform-provider-cpln`: what `cpln mk8s get -o tf` prints.

The provider's names follow from the manifest's: `nodePools` are blocks `node_pool`, `sourceCIDR` is `source_cidr`.
Pure; called by `exports`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.records import Cluster
from schemas.query import in_words

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BLOCKS = {
    "nodePools": "node_pool",
    "dedicatedServerNodePools": "dedicated_server_node_pool",
    "unmanagedNodePools": "unmanaged_node_pool",
    "taints": "taint",
    "digitalocean": "digital_ocean",
}
# Objects whose keys are the user's own.
_MAPS = frozenset(
    {"labels", "hetznerLabels", "awsTags", "floatingIPSelector", "tags", "tritonTags", "metadata"}
)
_NEEDS_NETWORKING = ("generic", "hetzner", "aws")
_FLAGS = frozenset({"awsWorkloadIdentity"})
"""Add-ons that the provider turns on by `true`."""
_OWN_TAGS = ("cpln/managedByTerraform", "cpln/terraformProviderVersion")
_INDENT = "  "


def resource(cluster: Cluster) -> str:
    """One `cpln_mk8s` resource, with the command that imports the cluster into it."""
    manifest = cluster.manifest
    name = cluster.key.name
    description = manifest.get("description")
    tags = {key: value for key, value in (manifest.get("tags") or {}).items() if key not in _OWN_TAGS}
    lines = [f"# terraform import cpln_mk8s.{name} {name}"]
    if cluster.settings:
        lines.append("# The provider knows no `settings`: they stay as they are.")
    lines += [
        f'resource "cpln_mk8s" {_text(name)} {{',
        f"  name        = {_text(name)}",
        f"  description = {_text(name if description is None else description)}",
        f"  version     = {_text(manifest['spec']['version'])}",
    ]
    if tags:
        lines += ["", *_map("tags", tags, _INDENT)]
    lines += _specification(manifest["spec"])
    return "\n".join([*lines, "}", ""])


def _specification(spec: Mapping[str, Any]) -> Iterator[str]:
    for rule in spec.get("firewall") or ():
        yield from _block("firewall", rule, _INDENT)
    for provider, body in spec["provider"].items():
        if body is not None:
            needed: dict[str, Any] = {"networking": {}} if provider in _NEEDS_NETWORKING else {}
            yield from _block(f"{_name(provider)}_provider", needed | body, _INDENT)
    add_ons = spec.get("addOns")
    if add_ons is not None:
        shown = {key: True if key in _FLAGS and body is not None else body for key, body in add_ons.items()}
        yield from _block("add_ons", shown, _INDENT)


def _block(name: str, body: Mapping[str, Any], indent: str) -> Iterator[str]:
    yield ""
    members = [list(_member(key, value, indent + _INDENT)) for key, value in body.items()]
    # Attributes first, as `terraform fmt` users write them; a block begins with the empty line before it.
    members.sort(key=lambda lines: lines[:1] == [""])
    inner = [line for lines in members for line in lines]
    if not inner:
        yield f"{indent}{name} {{}}"
        return
    yield f"{indent}{name} {{"
    yield from inner[1:] if inner[0] == "" else inner
    yield f"{indent}}}"


def _member(key: str, value: Any, indent: str) -> Iterator[str]:
    name = _name(key)
    if isinstance(value, Mapping):
        yield from _map(name, value, indent) if key in _MAPS else _block(name, value, indent)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for item in value:
            yield from _block(name, item, indent)
    elif isinstance(value, list):
        yield f"{indent}{name} = [{', '.join(_scalar(item) for item in value)}]"
    elif value is not None:
        yield f"{indent}{name} = {_scalar(value)}"


def _map(name: str, entries: Mapping[str, Any], indent: str) -> Iterator[str]:
    """A map of texts: the provider has no other."""
    yield f"{indent}{name} = {{"
    for key, value in entries.items():
        yield f"{indent}{_INDENT}{_text(key)} = {_text(in_words(value))}"
    yield f"{indent}}}"


def _name(key: str) -> str:
    return _BLOCKS.get(key) or _WORDS.sub("_", key).lower()


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    return in_words(value)


def _text(value: str) -> str:
    """A quoted template that stands for itself.

    https://developer.hashicorp.com/terraform/language/expressions/strings
    """
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{")
    return '"' + "".join(_character(character) for character in escaped) + '"'


def _character(character: str) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    if short is not None:
        return short
    return character if character.isprintable() else f"\\U{ord(character):08x}"
