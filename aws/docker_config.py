"""The `.dockerconfigjson` of a pull secret, as the agent writes it.

https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from aws.credentials import RegistryCredential


def docker_config(auths: Mapping[str, RegistryCredential]) -> bytes:
    """Canonical JSON: host (or a glob per label) to username, password and auth. Never called with no auths.

    Raises:
        ValueError: `auths` is empty: an empty secret must never replace a good one.
    """
    if not auths:
        raise ValueError("a docker config without credentials must never replace one with them")
    entries = {host: _entry(credential) for host, credential in auths.items()}
    return json.dumps({"auths": entries}, separators=(",", ":"), sort_keys=True).encode()


def _entry(credential: RegistryCredential) -> dict[str, str]:
    pair = f"{credential.username}:{credential.password}".encode()
    return {
        "username": credential.username,
        "password": credential.password,
        "auth": base64.b64encode(pair).decode(),
    }
