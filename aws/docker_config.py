"""The `.dockerconfigjson` of a pull secret."""

from __future__ import annotations

from collections.abc import Mapping

from aws.credentials import RegistryCredential


def docker_config(auths: Mapping[str, RegistryCredential]) -> bytes:
    """Canonical JSON: host (or a glob per label) to username, password and auth. Never called with no auths.

    Raises:
        ValueError: `auths` is empty: an empty secret must never replace a good one.
    """
    raise NotImplementedError
