"""How to reach one API server: what `kube.transport` dials with, and what a kubeconfig boils down to.

Made by `controller` from an unsealed connection, by `agent` from its pod's files, by `kube.kubeconfig` for the
command line.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Access:
    """How to reach one API server. Certificates and keys are PEM text, `token` a bearer token.

    `token_file` is read anew when it changes (a pod's projected token), and so is `certificate_authority_file`, where
    `certificate_authority` was read from: a cluster's authority is renewed while pods run. Redirects are never followed;
    a link-local address is never dialled, a loopback one only with `allow_loopback`. `proxy` is an http or https URL;
    the environment's proxies are not asked. `timeout_seconds` is how long the server may be silent; a connection gets
    5 seconds of it at most.
    """

    server: str
    certificate_authority: str | None = None
    certificate_authority_file: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = field(default=None, repr=False)
    tls_server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)
    timeout_seconds: float = 10.0
    allow_loopback: bool = False
