"""The internet as the sandbox's STS sees it: which issuers are public, and what they publish."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from sandbox.aws.tokens import PublishedIssuer
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.discovery import openid_configuration

_TIMEOUT_SECONDS = 5.0  # what IAM allows an issuer to take
_DISCOVERY = "/.well-known/openid-configuration"


class PublicIssuers:
    """Clusters that are public answer in-process; `hosts` (name to loopback base URL) over HTTP; all else is dark."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        self._hosts = hosts
        self._clusters: list[Cluster] = []
        # Loopback is dialled directly, whatever proxy the environment names.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def register(self, cluster: Cluster) -> None:
        """Makes whatever issuer the cluster has public."""
        self._clusters.append(cluster)

    def resolve(self, issuer: str) -> PublishedIssuer | None:
        """What is served under an issuer's URL; None when nobody public serves it."""
        for cluster in self._clusters:
            if issuer in cluster.tokens.issuers:
                discovery = openid_configuration(cluster.tokens, f"{issuer}/openid/v1/jwks") | {
                    "issuer": issuer
                }
                return PublishedIssuer(discovery, {"keys": [cluster.tokens.key.jwk()]})
        found = self._read(f"{issuer}{_DISCOVERY}")
        if found is None:
            return None
        discovery, _ = found
        keys = self._read(str(discovery.get("jwks_uri", "")))
        return PublishedIssuer(discovery, keys[0], keys[1]) if keys is not None else None

    def _read(self, url: str) -> tuple[dict[str, object], str] | None:
        """(document, Cache-Control) of a public address."""
        parts = urlsplit(url)
        base = self._hosts.get(parts.netloc)
        if parts.scheme != "https" or base is None:
            return None
        try:
            with self._opener.open(f"{base}{parts.path}", timeout=_TIMEOUT_SECONDS) as response:
                document = json.load(response)
                return document, response.headers.get("Cache-Control", "")
        except (OSError, ValueError):
            return None
