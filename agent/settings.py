"""The agent's environment contract, and the only place in `agent` that reads it.

The Deployment that the hub applies sets the variables; `agent.command` reads them once at start. Files are named
here and read by those who need them.

================================== ==============================================================================
PULLPASS_KUBERNETES_TOKEN_FILE     projected token for this cluster's API server
PULLPASS_KUBERNETES_CA_FILE        PEM of the API server's authority
PULLPASS_WEB_IDENTITY_TOKEN_FILE   projected token for AWS, with the audience that the configuration names
PULLPASS_HEALTH_PORT               where /healthz, /readyz and /metrics are served; 0: a free port
PULLPASS_WEBHOOK_PORT              where admission reviews are answered; 0: a free port
PULLPASS_POD_NAME                  the pod's name: tells this replica from the others in the election
PULLPASS_KUBERNETES_SERVER         optional: an https URL in place of the address that Kubernetes gives to pods.
                                   Only where this is set may the server be on loopback, and only then are the
                                   ports served on loopback alone
KUBERNETES_SERVICE_HOST and _PORT  set by Kubernetes in every pod
================================== ==============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HIGHEST_PORT = 65535


class SettingsError(Exception):
    """The environment is not as agreed; the message names every variable that is wrong, and no value of a file."""


@dataclass(frozen=True)
class AgentSettings:
    """What the environment said.

    `server` is an https URL. `on_loopback` tells that the server was named by hand, as a sandbox does: only then is
    a loopback address dialled, and everything served there alone.
    """

    server: str
    on_loopback: bool
    kubernetes_token_file: str
    kubernetes_ca_file: str
    web_identity_token_file: str
    health_port: int
    webhook_port: int
    pod_name: str

    def certificate_authority(self) -> str:
        """The PEM text.

        Raises:
            SettingsError: the file cannot be read.
        """
        try:
            return Path(self.kubernetes_ca_file).read_text(encoding="ascii")
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no PEM text"
            raise SettingsError(f"PULLPASS_KUBERNETES_CA_FILE: {self.kubernetes_ca_file}: {reason}") from None


def read(environment: Mapping[str, str]) -> AgentSettings:
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

    def port(name: str) -> int:
        text = required(name)
        number = int(text) if text.isascii() and text.isdigit() else -1
        if text and not 0 <= number <= _HIGHEST_PORT:
            wrong.append(f"{name}: expected 0 to {_HIGHEST_PORT}, got {text!r}")
        return number

    token_file = required("PULLPASS_KUBERNETES_TOKEN_FILE")
    ca_file = required("PULLPASS_KUBERNETES_CA_FILE")
    web_identity_token_file = required("PULLPASS_WEB_IDENTITY_TOKEN_FILE")
    health_port, webhook_port = port("PULLPASS_HEALTH_PORT"), port("PULLPASS_WEBHOOK_PORT")
    pod_name = required("PULLPASS_POD_NAME")
    named = environment.get("PULLPASS_KUBERNETES_SERVER", "")
    if named:
        server = named
        if not named.startswith("https://"):
            wrong.append("PULLPASS_KUBERNETES_SERVER: expected an https URL")
    else:
        host, service_port = required("KUBERNETES_SERVICE_HOST"), required("KUBERNETES_SERVICE_PORT")
        server = f"https://[{host}]:{service_port}" if ":" in host else f"https://{host}:{service_port}"
    if wrong:
        raise SettingsError("; ".join(wrong))
    return AgentSettings(
        server=server,
        on_loopback=bool(named),
        kubernetes_token_file=token_file,
        kubernetes_ca_file=ca_file,
        web_identity_token_file=web_identity_token_file,
        health_port=health_port,
        webhook_port=webhook_port,
        pod_name=pod_name,
    )
