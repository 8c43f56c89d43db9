"""How a call leaves for AWS: the proxy, and whom to believe. Shared by the STS, ECR and registry calls.

Everything comes from the cluster's admin settings (`AwsEndpoints`), nothing from the process's environment: the
hub walks for many clusters. The base of trust is certifi's, the one botocore uses.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import certifi

from aws.credentials import AwsEndpoints

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
ATTEMPTS = 3  # of one call, botocore's standard mode; the work queue owns every longer wait


def proxy_for(url: str, endpoints: AwsEndpoints) -> str | None:
    """The proxy for `url`, None for a direct connection.

    `no_proxy` is a comma-separated list of hosts and domains (with or without the leading dot), or `*`.
    """
    parts = urlsplit(url)
    if endpoints.https_proxy is None or parts.scheme != "https":
        return None
    host = f".{parts.hostname or ''}"
    for entry in (endpoints.no_proxy or "").split(","):
        domain = entry.strip().lower().lstrip(".")
        if domain == "*" or (domain and host.endswith(f".{domain}")):
            return None
    return endpoints.https_proxy


def tls_context(endpoints: AwsEndpoints) -> ssl.SSLContext:
    """Verifies against certifi's authorities and the settings' own.

    Raises:
        ValueError: `ca_bundle` is no PEM text with at least one certificate.
    """
    context = ssl.create_default_context(cafile=certifi.where())
    if endpoints.ca_bundle is not None:
        try:
            context.load_verify_locations(cadata=endpoints.ca_bundle)
        except (ssl.SSLError, ValueError) as error:
            raise ValueError(
                f"the CA bundle of this cluster's AWS settings holds no readable certificate: {error}"
            ) from error
    return context


@contextmanager
def authorities_file(endpoints: AwsEndpoints) -> Iterator[str | None]:
    """Path of a file with all authorities, for a library that wants one; None where there are no own ones.

    Raises:
        ValueError: as `tls_context`.
    """
    if endpoints.ca_bundle is None:
        yield None
        return
    tls_context(endpoints)
    with tempfile.NamedTemporaryFile(mode="w", suffix=".pem", encoding="utf-8") as file:  # mode 0600
        file.write(f"{Path(certifi.where()).read_text(encoding='utf-8')}\n{endpoints.ca_bundle}\n")
        file.flush()
        yield file.name
