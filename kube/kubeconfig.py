"""A user's own kubeconfig, for `pullpass connect`: the only module that imports the official `kubernetes` client.

The user's admin context may hold anything kubectl takes, exec plugins and files included: the official loader reads it
on the user's own machine. Kubeconfigs that are uploaded to the hub never come here (`schemas.connection_bodies` refuses what
they must not hold).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from kubernetes.client import Configuration
from kubernetes.config import kube_config
from kubernetes.config.config_exception import ConfigException

from kube import errors
from kube.access import Access


def access_from_kubeconfig(path: str | None, context: str | None) -> Access:
    """The access that a context of the user's kubeconfig gives, its exec plugin run where it has one.

    Loopback is allowed: it is the user's own machine. The proxy is the cluster's `proxy-url`, else the environment's,
    as kubectl has it.

    Args:
        path: One file, or several as in KUBECONFIG; None: as kubectl finds them.
        context: None: the current one.

    Raises:
        kube.errors.KubeconfigError: no file, no such context, no credential, a plugin that failed, TLS verification
            turned off, plain http.
    """
    with tempfile.TemporaryDirectory(prefix="pullpass-") as directory:
        configuration, cluster = _load(path, context, directory)
        server = str(configuration.host)
        if not server.startswith("https://"):
            raise errors.KubeconfigError(f"the server {server} is not https")
        if not configuration.verify_ssl:
            raise errors.KubeconfigError(
                "insecure-skip-tls-verify is set; give the cluster's certificate authority instead"
            )
        scheme, _, token = str(configuration.api_key.get("authorization") or "").partition(" ")
        if scheme not in {"", "Bearer"}:
            raise errors.KubeconfigError(
                f"{scheme} authentication is not supported: use a token or a certificate"
            )
        certificate, key = _text(configuration.cert_file), _text(configuration.key_file)
        if not token and not (certificate and key):
            raise errors.KubeconfigError(
                "the context has no credential: no token, exec plugin or certificate"
            )
        return Access(
            server=server,
            certificate_authority=_text(configuration.ssl_ca_cert),
            token=token or None,
            client_certificate=certificate,
            client_key=key,
            tls_server_name=configuration.tls_server_name,
            proxy=cluster.get("proxy-url") or _environment_proxy(server),
            allow_loopback=True,
        )


def _load(path: str | None, context: str | None, directory: str) -> tuple[Configuration, dict[str, Any]]:
    """The official configuration and the cluster's entry; what it writes to files goes into `directory`."""
    configuration = Configuration()
    with _complaints() as complaints:
        try:
            config = kube_config.KubeConfigMerger(path or kube_config.KUBE_CONFIG_DEFAULT_LOCATION).config
            if config is None:
                raise errors.KubeconfigError("there is no kubeconfig file; name one with --kubeconfig")
            loader = kube_config.KubeConfigLoader(
                config, active_context=context, config_base_path=None, temp_file_path=directory
            )
            loader.load_and_set(configuration)
            name = loader.current_context["context"]["cluster"]
            cluster = config["clusters"].get_with_name(name)["cluster"].value
        except (ConfigException, OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
            raise errors.KubeconfigError(errors.short(str(error))) from None
    if complaints:
        raise errors.KubeconfigError(errors.short("; ".join(complaints)))
    return configuration, dict(cluster)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What the official loader logs in place of raising it: a failed exec plugin."""
    said: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    collector = Collector(level=logging.ERROR)
    root = logging.getLogger()
    root.addHandler(collector)
    try:
        yield said
    finally:
        root.removeHandler(collector)


def _text(file: str | None) -> str | None:
    return Path(file).read_text(encoding="ascii") if file else None


def _environment_proxy(server: str) -> str | None:
    host = urlsplit(server).hostname or ""
    return None if proxy_bypass(host) else getproxies().get("https")
