"""The node driver's environment contract, and the only place in `agent.node` that reads it.

================================== ==============================================================================
PULLPASS_NODE_NAME                 this Node's name
PULLPASS_HOST_ROOT                 where the host's root is mounted in the pod
PULLPASS_CONFIGURATION_FILE        `configuration.json` in the mounted ConfigMap
PULLPASS_WEB_IDENTITY_TOKEN_FILE   projected token for AWS
PULLPASS_KUBERNETES_TOKEN_FILE     projected token for this cluster's API server
PULLPASS_KUBERNETES_CA_FILE        PEM of the API server's authority
PULLPASS_PLUGIN_FILE               the ecr-credential-provider in the image
PULLPASS_KUBERNETES_SERVER         optional: an https URL in place of the address that Kubernetes gives to pods
KUBERNETES_SERVICE_HOST and _PORT  set by Kubernetes in every pod
================================== ==============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(Exception):
    """The environment is not as agreed; the message names every variable that is wrong."""


@dataclass(frozen=True)
class NodeSettings:
    """What the environment said; `server` is an https URL."""

    node: str
    host_root: Path
    configuration_file: Path
    web_identity_token_file: Path
    kubernetes_token_file: Path
    kubernetes_ca_file: Path
    plugin_file: Path
    server: str


def read(environment: Mapping[str, str]) -> NodeSettings:
    """The settings in `environment`.

    Raises:
        SettingsError: naming everything that is missing or wrong.
    """
    wrong: list[str] = []

    def required(name: str) -> str:
        value = environment.get(name, "")
        if not value:
            wrong.append(f"{name} is not set")
        return value

    def file(name: str) -> Path:
        return Path(required(name))

    server = environment.get("PULLPASS_KUBERNETES_SERVER", "")
    if not server:
        host, port = required("KUBERNETES_SERVICE_HOST"), required("KUBERNETES_SERVICE_PORT")
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    elif not server.startswith("https://"):
        wrong.append("PULLPASS_KUBERNETES_SERVER: expected an https URL")
    found = NodeSettings(
        node=required("PULLPASS_NODE_NAME"),
        host_root=file("PULLPASS_HOST_ROOT"),
        configuration_file=file("PULLPASS_CONFIGURATION_FILE"),
        web_identity_token_file=file("PULLPASS_WEB_IDENTITY_TOKEN_FILE"),
        kubernetes_token_file=file("PULLPASS_KUBERNETES_TOKEN_FILE"),
        kubernetes_ca_file=file("PULLPASS_KUBERNETES_CA_FILE"),
        plugin_file=file("PULLPASS_PLUGIN_FILE"),
        server=server,
    )
    if wrong:
        raise SettingsError("; ".join(wrong))
    return found
