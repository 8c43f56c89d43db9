"""Our provider in the kubelet's CredentialProviderConfig, put in and taken out as text.

A file that belongs to others keeps every byte: our provider is one flow-style element written before the first element
of `providers`, on a line of its own in block YAML. Taking it out again leaves what was there, later edits of others
included. The result is parsed and compared before anybody writes it, and a document whose list cannot be extended
that way (an alias, a tag) is refused rather than rewritten.

`plan` calls `merge` and `unmerge`; `preflight` judges the result. Laws: `unmerge(merge(x, p)) == x`,
`merge(merge(x, p), p) == merge(x, p)`, and every foreign provider survives both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

PROVIDER_NAME = "pullpass-ecr-credential-provider"
_OURS = "# Written by Pullpass, which also removes it.\n"
_DOCUMENT = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n"


class ConfigError(Exception):
    """The document cannot be read, or not be extended without rewriting it; the message says which and where."""


def merge(text: str | None, provider: Mapping[str, Any]) -> str:
    """The document with `provider` in it; without a document, one that holds it alone.

    Raises:
        ConfigError: the document is not a CredentialProviderConfig with a list of providers that can be extended.
    """
    element = json.dumps(provider, separators=(", ", ": "))
    if text is None or is_ours_alone(text):
        return f"{_OURS}{_DOCUMENT}- {element}\n"
    rest = _without_ours(text)
    items = _items(rest)
    if not items.value:
        raise ConfigError("providers: expected at least one provider in a file that was here before")
    first = items.value[0].start_mark.index
    if items.flow_style:
        merged = f"{rest[:first]}{element}, {rest[first:]}"
    else:
        dash = items.start_mark.index
        line = rest.rfind("\n", 0, dash) + 1
        if rest[line:dash].strip(" "):
            raise ConfigError("providers: expected each provider on a line of its own")
        merged = f"{rest[:dash]}- {element}{_end_of_line(rest)}{rest[line:dash]}{rest[dash:]}"
    expected = load(rest)
    expected["providers"] = [dict(provider), *expected["providers"]]
    if load(merged) != expected or _without_ours(merged) != rest:
        raise ConfigError(
            "providers: cannot be extended without rewriting the file; write it as a plain list"
        )
    return merged


def unmerge(text: str) -> str | None:
    """The document without our provider; None when the file was made by us and holds nothing else.

    Raises:
        ConfigError: it cannot be read.
    """
    if is_ours_alone(text):
        return None
    return _without_ours(text).removeprefix(_OURS)


def is_ours_alone(text: str) -> bool:
    """Whether the file was made by us and nobody has added to it."""
    if not text.startswith(_OURS):
        return False
    try:
        providers = load(text).get("providers")
    except ConfigError:
        return False
    return isinstance(providers, list) and [_name(one) for one in providers] == [PROVIDER_NAME]


def load(text: str) -> dict[str, Any]:
    """The document, read as strictly as the kubelet reads it.

    Raises:
        ConfigError: no YAML or JSON, a key twice, or not an object.
    """
    try:
        content = json.loads(text, object_pairs_hook=_unique) if _is_json(text) else yaml.load(text, _Strict)  # noqa: S506 - a SafeLoader
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError("cannot be read: expected an object")
    return content


def _without_ours(text: str) -> str:
    """`text` with every element of ours cut out, exactly as `merge` put it in."""
    while True:
        items = _items(text)
        names = [_name_of_node(node) for node in items.value]
        if PROVIDER_NAME not in names:
            return text
        position = names.index(PROVIDER_NAME)
        node = items.value[position]
        begin, end = node.start_mark.index, node.end_mark.index
        if items.flow_style:
            if position + 1 < len(names):
                end = items.value[position + 1].start_mark.index
            elif position:
                begin = items.value[position - 1].end_mark.index
        else:
            begin = text.rfind("\n", 0, begin) + 1
            if position + 1 < len(names):
                following = items.value[position + 1].start_mark.index
                end = text.rfind("\n", 0, following) + 1
            elif node.flow_style:
                newline = text.find("\n", end)
                end = len(text) if newline < 0 else newline + 1
        if end <= begin:
            raise ConfigError("providers: ours cannot be told from the others; write one provider a line")
        text = text[:begin] + text[end:]


def _items(text: str) -> yaml.SequenceNode:
    """The `providers` list, with the places of its elements in `text`."""
    # JSON may be indented with tabs, which YAML does not take; as spaces they leave every place where it is.
    plain = text.replace("\t", " ") if _is_json(text) else text
    try:
        root = yaml.compose(plain, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"cannot be read: {' '.join(str(error).split())}") from None
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == "providers" and isinstance(value, yaml.SequenceNode):
                return value
    raise ConfigError("providers: expected a list")


def _end_of_line(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _name(provider: object) -> object:
    return provider.get("name") if isinstance(provider, dict) else None


def _name_of_node(node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "name":
                return value.value
    return None


def _is_json(text: str) -> bool:
    """JSON, and not YAML in braces, which a kubelet takes as well."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} twice")
        found[key] = value
    return found


class _Strict(yaml.SafeLoader):
    """YAML in which a key may stand once: the kubelet decodes strictly."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} twice", node.start_mark)
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return found
