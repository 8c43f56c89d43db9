"""The difference between a node and what is wanted of it, before anything is touched.

`loop` and `install` ask for a `Plan` on every look: the files that the kubelet reads at start as they should be, or the
reason why the node is left alone. Making a plan changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from agent.node import kubelet_flags, preflight, provider_config
from agent.node.configuration import Configuration
from agent.node.distributions import Layout, argument, kubelet_arguments
from agent.node.host import Host
from agent.node.provider import provider

_ECR = re.compile(r"dkr[.-]ecr")


class Refused(Exception):
    """The node is left alone; `reason` is a CamelCase word, the message says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Target:
    """One file the kubelet reads at start: its content as it should be, None for no file."""

    path: str
    content: bytes | None


@dataclass(frozen=True)
class Plan:
    """What is to be. `targets` in the order of writing; `hash` names their content and nothing else."""

    targets: tuple[Target, ...]
    hash: str
    elsewhere: bool = False

    def changes(self, host: Host) -> tuple[Target, ...]:
        """The targets that are not yet so."""
        return tuple(one for one in self.targets if host.read(one.path) != one.content)


def to_install(host: Host, layout: Layout, wanted: Configuration, version: str) -> Plan:
    """The plan with our provider in; `elsewhere` when another one already serves ECR with the node's own role.

    Args:
        host: the node.
        layout: where its kubelet looks.
        wanted: the configuration.
        version: the kubelet's, such as `v1.34.4`.

    Raises:
        Refused: a kubelet would not start on what is there or on what would be.
    """
    kubelet = preflight.version_of(version)
    tokens = preflight.takes_tokens(kubelet, feature_gates(host, layout))
    if wanted.identity == "serviceAccount" and not tokens:
        raise Refused(
            "ServiceAccountTokensUnsupported",
            f"identity serviceAccount needs Kubernetes 1.34 or later with the feature gate {preflight.GATE} on; "
            f"this kubelet is {version or 'of an unknown version'}. Use identity shared, or upgrade the node.",
        )
    texts = _texts(host, layout, kubelet)
    theirs = {path: text for path, text in texts.items() if not provider_config.is_ours_alone(text)}
    if theirs:
        _check(host, layout, theirs, tokens=tokens, ours_present=True)
    elif not layout.may_make_config and not texts:
        raise Refused("ConfigMissing", f"{layout.config}: the kubelet names it, but it is not there")
    if wanted.role_arn is None and wanted.identity == "shared" and _serves_ecr(theirs):
        without = _without(host, layout, texts, tokens=tokens)
        return Plan(without, _hash(without), elsewhere=True)
    ours, path = provider(wanted), _our_path(host, layout)
    try:
        merged = provider_config.merge(texts.get(path), ours)
    except provider_config.ConfigError as error:
        raise Refused("ConfigRefused", f"{path}: {error}") from None
    _check(host, layout, {**texts, path: merged}, tokens=tokens, ours_present=True)
    targets = [Target(path, merged.encode())]
    if layout.flags_file:
        before = _read(host, layout.flags_file)
        flags = kubelet_flags.merge(
            before, layout.flags_style, layout.bin_directory, layout.config, layout.unit_arguments
        )
        targets.append(Target(layout.flags_file, flags.encode()))
    return Plan(tuple(targets), _hash(targets))


def to_remove(host: Host, layout: Layout, version: str) -> Plan:
    """The plan with our provider out, everything else as it is.

    Raises:
        Refused: a kubelet would not start on what would be left.
    """
    kubelet = preflight.version_of(version)
    texts = _texts(host, layout, kubelet)
    tokens = preflight.takes_tokens(kubelet, feature_gates(host, layout))
    targets = _without(host, layout, texts, tokens=tokens)
    return Plan(targets, _hash(targets))


def feature_gates(host: Host, layout: Layout) -> dict[str, bool]:
    """The gates that the kubelet's configuration file and command line set; the command line wins."""
    arguments = kubelet_arguments(host, layout.service)
    path = argument(arguments, "--config") or "/var/lib/kubelet/config.yaml"
    found: dict[str, bool] = {}
    try:
        content = yaml.safe_load(host.read(path) or b"")
    except yaml.YAMLError:
        content = None
    if isinstance(content, dict) and isinstance(content.get("featureGates"), dict):
        found.update(
            {name: value for name, value in content["featureGates"].items() if isinstance(value, bool)}
        )
    for pair in (argument(arguments, "--feature-gates") or "").split(","):
        name, _, value = pair.partition("=")
        if name:
            found[name.strip()] = value.strip().lower() in ("true", "1", "t")
    return found


def _texts(host: Host, layout: Layout, kubelet: tuple[int, int] | None) -> dict[str, str]:
    """The configuration files of the kubelet, path to text."""
    if host.kind(layout.config) != "directory":
        text = _read(host, layout.config)
        return {} if text is None else {layout.config: text}
    if kubelet is None or kubelet < preflight.DIRECTORY_SINCE:
        raise Refused(
            "ConfigRefused", f"{layout.config}: a directory, which a kubelet reads from 1.34 on only"
        )
    paths = [
        f"{layout.config}/{name}" for name in host.names(layout.config) if name.endswith(preflight.SUFFIXES)
    ]
    return {path: text for path in paths if (text := _read(host, path)) is not None}


def _our_path(host: Host, layout: Layout) -> str:
    """In a directory a file of our own, else the one there is."""
    return f"{layout.config}/pullpass.yaml" if host.kind(layout.config) == "directory" else layout.config


def _without(host: Host, layout: Layout, texts: Mapping[str, str], *, tokens: bool) -> tuple[Target, ...]:
    """The targets of a removal: flags first, so that no kubelet is pointed at a file that is gone."""
    targets: list[Target] = []
    if layout.flags_file:
        before = _read(host, layout.flags_file)
        left = (
            None
            if before is None
            else kubelet_flags.unmerge(before, layout.flags_style, layout.unit_arguments)
        )
        targets.append(Target(layout.flags_file, None if left is None else left.encode()))
    rest: dict[str, str] = {}
    for path, text in texts.items():
        try:
            without = provider_config.unmerge(text)
        except provider_config.ConfigError as error:
            raise Refused("ConfigRefused", f"{path}: {error}") from None
        if without is not None:
            rest[path] = without
        targets.append(Target(path, None if without is None else without.encode()))
    still_read = layout.flags_file is None and not layout.may_make_config
    if texts and rest != texts and (rest or still_read):
        _check(host, layout, rest, tokens=tokens, ours_present=False)
    return tuple(targets)


def _check(host: Host, layout: Layout, texts: Mapping[str, str], *, tokens: bool, ours_present: bool) -> None:
    wrong = preflight.documents(
        texts, host=host, bin_directory=layout.bin_directory, tokens_allowed=tokens, ours_present=ours_present
    )
    if wrong:
        raise Refused("ConfigRefused", f"The kubelet would not start: {'; '.join(wrong)}")


def _serves_ecr(texts: Mapping[str, str]) -> bool:
    """Whether a provider of somebody else's is asked for images of ECR."""
    providers: list[Any] = [one for text in texts.values() for one in provider_config.load(text)["providers"]]
    return any(
        one["name"] != provider_config.PROVIDER_NAME
        and any(_ECR.search(image) for image in one["matchImages"])
        for one in providers
    )


def _read(host: Host, path: str) -> str | None:
    content = host.read(path)
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        raise Refused("ConfigRefused", f"{path}: is no UTF-8 text") from None


def _hash(targets: tuple[Target, ...] | list[Target]) -> str:
    content = [[one.path, None if one.content is None else one.content.decode()] for one in targets]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
