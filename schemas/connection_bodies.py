"""The body of `PUT …/-connection`: how the hub reaches one cluster, and what it must not be.

Write-only on the wire. Called by `addon_api`, to refuse what the hub must not dial.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from schemas import credentials, eks, endpoints, kubeconfig
from schemas.agent_documents import HUB_ACCOUNT, NAMESPACE_NAME
from schemas.connection import AWS_ACCESS_MEMBERS, AwsAccess, Connection
from schemas.eks import EksDefaults, EksSchema
from schemas.errors import Invalid, Mistake, json_path
from schemas.fields import Number, Object, Text
from schemas.structure import check, strict
from schemas.times import format_time, parse_time

HUB_SUBJECT = f"system:serviceaccount:{NAMESPACE_NAME}:{HUB_ACCOUNT}"

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}", re.ASCII)
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_ONE_LINE = re.compile(r"[\x20-\x7e]*")

AwsAccessSchema = strict(
    "AwsAccess",
    {
        "stsEndpoint": Text("the URL of an STS endpoint"),
        "ecrEndpoint": Text("the URL of an ECR API endpoint"),
        "ecrPublicEndpoint": Text("the URL of an ECR Public API endpoint"),
        "registryEndpoint": Text("the URL under which registries are reached"),
        "metadataEndpoint": Text("the URL of an instance metadata service"),
        "httpsProxy": Text("the URL of a proxy"),
        "noProxy": Text("hosts that need no proxy, with commas between", pattern=_ONE_LINE),
        "caBundle": Text("certificates in PEM", limit=262_144),
    },
)
ConnectionSettingsSchema = strict(
    "ConnectionSettings",
    {
        "timeoutSeconds": Number(1, 60),
        "proxy": Text("the URL of a proxy"),
        "tlsServerName": Text("the name on the API server's certificate", pattern=_HOST_NAME),
        "agentImage": Text("an image reference", pattern=_IMAGE),
        "aws": Object(AwsAccessSchema),
    },
)
ConnectionSchema = strict(
    "Connection",
    {
        "kubeconfig": Text("a kubeconfig (YAML) as text", limit=262_144),
        "server": Text("the https:// URL of the API server"),
        "certificateAuthority": Text("the API server's CA in PEM", limit=262_144),
        "token": Text("a bearer token", limit=65_536),
        "expiresAt": Text("an RFC 3339 time such as 2026-11-22T05:40:00Z"),
        "eks": Object(EksSchema),
        "settings": Object(ConnectionSettingsSchema),
    },
)


def parse(
    body: Mapping[str, Any],
    *,
    now: datetime,
    allow_loopback: bool,
    eks_defaults: EksDefaults | None = None,
) -> Connection:
    """The connection that `body` describes.

    `body` is `{kubeconfig}`, `{server, certificateAuthority, token, expiresAt}` or `{eks}`, with `settings` beside any:
    see `ConnectionSchema`. A token's own `exp` beats `expiresAt`. `eks_defaults` are of the cluster's manifest; None:
    it is no cluster of provider aws, and `eks` is refused.

    Raises:
        schemas.errors.Invalid: `exec`, `auth-provider`, file paths, `insecure-skip-tls-verify`, plain http, a
            link-local address, and (unless `allow_loopback`) a loopback one are refused, each saying why; so are
            expired tokens, and whatever `ConnectionSchema` does not know. Nothing in it repeats a secret.
    """
    read = check(ConnectionSchema, body)
    reading = _Reading(
        now=now, allow_loopback=allow_loopback, mistakes=read.mistakes, eks_defaults=eks_defaults
    )
    if not read.mistakes and not _has_access(body):
        reading.refuse("$", "expected `kubeconfig`, `server` with `token`, or `eks`")
    connection = reading.access(read.valid) if _has_access(read.valid) else _NO_CONNECTION
    connection = reading.settings(connection, read.valid.get("settings") or {})
    reading.stop_at_mistakes()
    return connection


def update(
    stored: Connection,
    body: Mapping[str, Any],
    *,
    now: datetime,
    allow_loopback: bool,
    eks_defaults: EksDefaults | None = None,
) -> Connection:
    """`stored` with what `body` changes; what it leaves out stays, and null in `settings` resets.

    A body with a kubeconfig, with server and token, or with `eks` replaces the access and keeps the settings; one with
    only a token (and perhaps a CA) keeps the server, where there is one. Whoever may only write must not be able to send the stored credential
    elsewhere: changing server or CA needs a new credential in the same body.

    Raises:
        schemas.errors.Invalid: as `parse`; or server or CA change without a new credential.
    """
    read = check(ConnectionSchema, body)
    reading = _Reading(
        now=now, allow_loopback=allow_loopback, mistakes=read.mistakes, eks_defaults=eks_defaults
    )
    connection = stored
    if _has_access(read.valid):
        access = reading.access(read.valid)
        connection = _with_access(
            stored,
            access,
            tls_server_name=access.tls_server_name or stored.tls_server_name,
            proxy=access.proxy or stored.proxy,
        )
    elif read.valid.get("token") is not None and stored.eks is None:
        kept = {"server": stored.server, "certificateAuthority": stored.certificate_authority}
        sent = {key: value for key, value in read.valid.items() if value is not None}
        connection = _with_access(
            stored,
            reading.access({**kept, **sent}),
            tls_server_name=stored.tls_server_name,
            proxy=stored.proxy,
        )
    else:
        reading.refuse_changes_without_credential(stored, read.valid)
    connection = reading.settings(connection, read.valid.get("settings") or {})
    reading.stop_at_mistakes()
    return connection


_AWS_ENDPOINTS = tuple(name for name in AWS_ACCESS_MEMBERS if name.endswith("Endpoint"))
_SETTINGS_MEMBERS = {
    "timeoutSeconds": "timeout_seconds",
    "proxy": "proxy",
    "tlsServerName": "tls_server_name",
    "agentImage": "agent_image",
}
_NO_CONNECTION = Connection(server="")
_PROXY_SCHEMES = ("http", "https")
_OWN_ACCESS = ("server", "certificateAuthority", "token", "expiresAt")


def _has_access(body: Mapping[str, Any]) -> bool:
    """Whether `body` says where the API server is and brings a credential for it."""
    whole = body.get("server") is not None and body.get("token") is not None
    return whole or body.get("kubeconfig") is not None or body.get("eks") is not None


def _with_access(
    stored: Connection, access: Connection, *, tls_server_name: str | None, proxy: str | None
) -> Connection:
    """`access` with the settings of `stored`."""
    return replace(
        access,
        tls_server_name=tls_server_name,
        proxy=proxy,
        timeout_seconds=stored.timeout_seconds,
        agent_image=stored.agent_image,
        aws=stored.aws,
    )


@dataclass
class _Reading:
    """One reading of the members of a body that have the right type; collects what is wrong with their values."""

    now: datetime
    allow_loopback: bool
    mistakes: list[Mistake]
    eks_defaults: EksDefaults | None

    def stop_at_mistakes(self) -> None:
        if self.mistakes:
            raise Invalid.because_of(self.mistakes)

    def refuse(self, path: str, message: str, hint: str = "") -> None:
        self.mistakes.append(Mistake(path, message, hint))

    def access(self, body: Mapping[str, Any]) -> Connection:
        """Server and credential, from the kubeconfig, from the members of `body`, or by EKS."""
        if body.get("eks") is not None:
            self._refuse_beside("eks", "kubeconfig", *_OWN_ACCESS, body=body)
            if any(mistake.path.startswith("$.eks") for mistake in self.mistakes):
                return _NO_CONNECTION  # what is right of it is not enough to go on
            return replace(_NO_CONNECTION, eks=eks.read(body["eks"], self.eks_defaults, self.mistakes))
        if body.get("kubeconfig") is not None:
            self._refuse_beside("kubeconfig", *_OWN_ACCESS, body=body)
            access = kubeconfig.read(body["kubeconfig"], self.mistakes)
            token_path = "" if access is None else access.user_path
        else:
            access = kubeconfig.Access(
                server=body.get("server") or "",
                certificate_authority=body.get("certificateAuthority"),
                token=(body.get("token") or "").strip() or None,
            )
            token_path = "$.token"  # noqa: S105 - a path
            if access.certificate_authority is not None:
                self._check_pem("$.certificateAuthority", access.certificate_authority)
        if access is None:
            return _NO_CONNECTION
        self._check_url(access.server_path, access.server, ("https",))
        if access.proxy is not None:
            self._check_url(access.proxy_path, access.proxy, _PROXY_SCHEMES)
        granted_at, expires_at, renewable = self._credential(access, token_path, body.get("expiresAt"))
        return Connection(
            server=access.server.rstrip("/"),
            certificate_authority=access.certificate_authority,
            token=access.token,
            client_certificate=access.client_certificate,
            client_key=access.client_key,
            tls_server_name=access.tls_server_name,
            proxy=access.proxy,
            granted_at=granted_at,
            expires_at=expires_at,
            renewable=renewable,
        )

    def settings(self, connection: Connection, settings: Mapping[str, Any]) -> Connection:
        """`connection` with the members of `settings`; null resets one."""
        changes: dict[str, Any] = {}
        for wire, name in _SETTINGS_MEMBERS.items():
            if wire in settings:
                value = settings[wire]
                changes[name] = getattr(_NO_CONNECTION, name) if value is None else value
        if changes.get("proxy") is not None:
            self._check_url("$.settings.proxy", changes["proxy"], _PROXY_SCHEMES)
        if "aws" in settings:
            changes["aws"] = self._aws(connection.aws, settings["aws"])
        return replace(connection, **changes)

    def refuse_changes_without_credential(self, stored: Connection, body: Mapping[str, Any]) -> None:
        before = {
            "server": stored.server,
            "certificateAuthority": stored.certificate_authority,
            "expiresAt": None if stored.expires_at is None else format_time(stored.expires_at),
        }
        if body.get("token") is not None:
            self.refuse(
                "$.token", "stands without a server", "send `server` and `certificateAuthority` with it"
            )
        for key, value in before.items():
            if body.get(key) is not None and body[key] != value:
                self.refuse(
                    json_path("$", key), "cannot change alone", "send the new credential in the same body"
                )

    def _refuse_beside(self, chosen: str, *others: str, body: Mapping[str, Any]) -> None:
        for key in others:
            if body.get(key) is not None:
                self.refuse(json_path("$", key), f"stands beside `{chosen}`", "send one or the other")

    def _credential(
        self, access: kubeconfig.Access, token_path: str, stated_expiry: str | None
    ) -> tuple[datetime | None, datetime | None, bool]:
        pair = (access.client_certificate, access.client_key)
        if access.token is None:
            if None in pair:
                self.refuse(
                    token_path, "holds no credential; expected a token, or a client certificate with its key"
                )
            return None, None, False
        if pair != (None, None):
            self.refuse(token_path, "holds both a token and a client certificate", "keep one of them")
        if not credentials.is_token(access.token):
            self.refuse(token_path, "expected a bearer token: printable ASCII without blanks")
        claims = credentials.claims(access.token)
        expires_at = claims.expires_at
        if expires_at is None and stated_expiry is not None:
            try:
                expires_at = parse_time(stated_expiry)
            except ValueError:
                self.refuse("$.expiresAt", "expected an RFC 3339 time such as 2026-11-22T05:40:00Z")
        if expires_at is not None and expires_at <= self.now:
            self.refuse(token_path, f"the token expired at {format_time(expires_at)}", "send a new one")
        return claims.issued_at, expires_at, claims.subject == HUB_SUBJECT

    def _aws(self, stored: AwsAccess, settings: Mapping[str, Any] | None) -> AwsAccess:
        if settings is None:
            return AwsAccess()
        path = "$.settings.aws"
        for key in _AWS_ENDPOINTS:
            if settings.get(key) is not None:
                self._check_url(json_path(path, key), settings[key], ("https",), plain_on_loopback=True)
        if settings.get("httpsProxy") is not None:
            self._check_url(json_path(path, "httpsProxy"), settings["httpsProxy"], _PROXY_SCHEMES)
        if settings.get("caBundle") is not None:
            self._check_pem(json_path(path, "caBundle"), settings["caBundle"])
        return replace(stored, **{AWS_ACCESS_MEMBERS[wire]: value for wire, value in settings.items()})

    def _check_url(
        self, path: str, url: str, schemes: tuple[str, ...], *, plain_on_loopback: bool = False
    ) -> None:
        problem = endpoints.refusal(
            url, schemes=schemes, allow_loopback=self.allow_loopback, plain_on_loopback=plain_on_loopback
        )
        if problem is not None:
            self.refuse(path, problem)

    def _check_pem(self, path: str, text: str) -> None:
        problem = credentials.pem_refusal(text, credentials.CERTIFICATES)
        if problem is not None:
            self.refuse(path, problem)
