"""What the hub wants of a node: `configuration.json` of the ConfigMap `pullpass-node`, version 1, read strictly.

The hub writes it (`controller/addons/aws_ecr`), the driver reads it on every look. An unknown member, a missing one or
one of a wrong type is an error that names the member: half-understood wishes are never put on a node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

VERSION = 1
IDENTITIES = ("shared", "serviceAccount")

Identity = Literal["shared", "serviceAccount"]


class ConfigurationError(Exception):
    """The document is not as agreed; the message names the member."""


@dataclass(frozen=True)
class Cluster:
    """Whose node this is; for messages and the session name at AWS."""

    uid: str
    organisation: str
    name: str


@dataclass(frozen=True)
class AwsEndpoints:
    """How AWS is reached from the nodes of this cluster; `ca_bundle` is PEM text."""

    sts_endpoint: str | None = None
    ecr_endpoint: str | None = None
    registry_endpoint: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    ca_bundle: str | None = None


@dataclass(frozen=True)
class Configuration:
    """What is wanted of every node of the cluster. `generation` counts the changes of it."""

    generation: int
    cluster: Cluster
    removing: bool
    selector: Mapping[str, str]
    role_arn: str | None
    identity: Identity
    audience: str
    region: str | None
    match_images: tuple[str, ...]
    max_unavailable: int
    restart_device_nodes: bool
    verify_image: str | None
    aws: AwsEndpoints

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a Node with these labels is to be served."""
        return all(labels.get(key) == value for key, value in self.selector.items())


def parse(document: bytes | str) -> Configuration:
    """The configuration in a JSON document.

    Raises:
        ConfigurationError: it is not JSON, of another version, or a member is unknown, missing or wrong.
    """
    try:
        content = json.loads(document)
    except ValueError as error:
        raise ConfigurationError(f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ConfigurationError("expected a JSON object")
    whole = _Members(content, "")
    if whole.integer("version") != VERSION:
        raise ConfigurationError(f"version: expected {VERSION}, got {content['version']}")
    cluster, aws = whole.members("cluster"), whole.members("aws")
    identity = whole.text("identity")
    if identity not in IDENTITIES:
        raise ConfigurationError(f"identity: expected one of {', '.join(IDENTITIES)}, got {identity!r}")
    found = Configuration(
        generation=whole.integer("generation"),
        cluster=Cluster(cluster.text("uid"), cluster.text("organisation"), cluster.text("name")),
        removing=whole.boolean("removing"),
        selector=whole.labels("selector"),
        role_arn=whole.optional_text("roleArn"),
        identity="shared" if identity == "shared" else "serviceAccount",
        audience=whole.text("audience"),
        region=whole.optional_text("region"),
        match_images=whole.texts("matchImages"),
        max_unavailable=whole.integer("maxUnavailable", least=1),
        restart_device_nodes=whole.boolean("restartDeviceNodes"),
        verify_image=whole.optional_text("verifyImage"),
        aws=AwsEndpoints(
            sts_endpoint=aws.optional_text("stsEndpoint"),
            ecr_endpoint=aws.optional_text("ecrEndpoint"),
            registry_endpoint=aws.optional_text("registryEndpoint"),
            https_proxy=aws.optional_text("httpsProxy"),
            no_proxy=aws.optional_text("noProxy"),
            ca_bundle=aws.optional_text("caBundle"),
        ),
    )
    for part in (whole, cluster, aws):
        part.refuse_unknown()
    return found


class _Members:
    """An object whose members are taken one by one, by type; what is left over in the end is unknown."""

    def __init__(self, content: Mapping[str, object], path: str) -> None:
        self._content = content
        self._path = path
        self._taken: set[str] = set()

    def text(self, name: str) -> str:
        value = self._take(name)
        if not isinstance(value, str) or not value:
            raise self._wrong(name, "a text")
        return value

    def optional_text(self, name: str) -> str | None:
        """Absent, null and the empty text are one: not set."""
        self._taken.add(name)
        value = self._content.get(name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name, "a text or null")
        return value or None

    def integer(self, name: str, *, least: int = 0) -> int:
        value = self._take(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self._wrong(name, f"a whole number, {least} or more")
        return value

    def boolean(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._take(name)
        if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
            raise self._wrong(name, "a list of texts, not empty")
        return tuple(value)

    def labels(self, name: str) -> Mapping[str, str]:
        value = self._take(name)
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise self._wrong(name, "an object of texts")
        return value

    def members(self, name: str) -> _Members:
        value = self._take(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return _Members(value, f"{self._path}{name}.")

    def refuse_unknown(self) -> None:
        unknown = sorted(set(self._content) - self._taken)
        if unknown:
            raise ConfigurationError(f"{self._path}{unknown[0]}: unknown member")

    def _take(self, name: str) -> object:
        self._taken.add(name)
        if name not in self._content:
            raise ConfigurationError(f"{self._path}{name}: missing")
        return self._content[name]

    def _wrong(self, name: str, expected: str) -> ConfigurationError:
        return ConfigurationError(f"{self._path}{name}: expected {expected}")
