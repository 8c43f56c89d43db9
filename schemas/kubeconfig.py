"""A kubeconfig's current context, with everything refused that would run or read something on the hub.

Called by `schemas.connection_bodies`. A kubeconfig is a program of sorts: `exec` runs a command, `tokenFile` and its like
read files of whoever loads it. Only what stands in the text itself is taken. Reference:
https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from schemas import credentials
from schemas.documents import read_yaml
from schemas.errors import Invalid, Mistake, json_path

_PATH = "$.kubeconfig"
_FLATTEN = "use the -data form: `kubectl config view --raw --minify --flatten` writes it"
_CONNECT = "run `pullpass connect NAME --context CONTEXT`: it works with your own access and leaves only a token of its own"

_USER_REFUSALS: Mapping[str, tuple[str, str]] = {
    "exec": ("runs a program, which the hub does not", _CONNECT),
    "auth-provider": ("asks a program for the credential, which the hub does not", _CONNECT),
    "tokenFile": ("names a file, which the hub does not have", "put the token itself into `token`"),
    "client-certificate": ("names a file, which the hub does not have", _FLATTEN),
    "client-key": ("names a file, which the hub does not have", _FLATTEN),
    "username": (
        "is not served: Kubernetes has no passwords since 1.19",
        "use a token or a client certificate",
    ),
    "password": (
        "is not served: Kubernetes has no passwords since 1.19",
        "use a token or a client certificate",
    ),
    "as": ("acts as another user, which the hub does not", "leave it out"),
    "as-uid": ("acts as another user, which the hub does not", "leave it out"),
    "as-groups": ("acts as another user, which the hub does not", "leave it out"),
    "as-user-extra": ("acts as another user, which the hub does not", "leave it out"),
}
_CLUSTER_REFUSALS: Mapping[str, tuple[str, str]] = {
    "certificate-authority": ("names a file, which the hub does not have", _FLATTEN),
    "insecure-skip-tls-verify": (
        "would send the credential to whoever answers",
        "put the cluster's CA into `certificate-authority-data`",
    ),
}


@dataclass(frozen=True)
class Access:
    """What a kubeconfig or a body says of one API server, before its URLs and PEM are checked."""

    server: str
    certificate_authority: str | None = None
    token: str | None = field(default=None, repr=False)
    client_certificate: str | None = None
    client_key: str | None = field(default=None, repr=False)
    tls_server_name: str | None = None
    proxy: str | None = None
    server_path: str = "$.server"  # where mistakes of `server` are reported
    proxy_path: str = ""
    user_path: str = _PATH  # where mistakes of the credential are


def read(text: str, mistakes: list[Mistake]) -> Access | None:
    """The access of the current context of `text`; None, and a mistake more, when there is none."""
    try:
        document = read_yaml(text.encode("utf-8", "surrogatepass"))
    except Invalid as refusal:
        mistakes.extend(
            Mistake(_PATH, mistake.message) for mistake in refusal.mistakes
        )  # a hint may quote the text
        return None
    before = len(mistakes)
    context_name = document.get("current-context")
    if not isinstance(context_name, str) or not context_name:
        mistakes.append(
            Mistake(
                f"{_PATH}.current-context",
                "is missing; expected the name of a context",
                "`kubectl config view --raw --minify --flatten --context CONTEXT` writes it",
            )
        )
        return None
    context, context_path = _named(document, "contexts", "context", context_name, mistakes)
    cluster, cluster_path = _named(
        document, "clusters", "cluster", context.get("cluster"), mistakes, context_path
    )
    user, user_path = _named(document, "users", "user", context.get("user"), mistakes, context_path)
    if len(mistakes) > before:
        return None
    mistakes.extend(_refusals(cluster, cluster_path, _CLUSTER_REFUSALS))
    mistakes.extend(_refusals(user, user_path, _USER_REFUSALS))
    access = _Reader(mistakes).access(cluster, cluster_path, user, user_path)
    return access if len(mistakes) == before else None


def _named(  # noqa: PLR0917 - one line of a kubeconfig each
    document: Mapping[str, Any],
    list_name: str,
    member: str,
    name: object,
    mistakes: list[Mistake],
    asked_at: str = f"{_PATH}.current-context",
) -> tuple[Mapping[str, Any], str]:
    """The entry called `name` of one of the three lists, and its path; ({}, "") and a mistake when it is not there."""
    if not asked_at:
        return {}, ""  # the context itself was not found, and that was said
    entries = document.get(list_name)
    found = [
        (entry, json_path(_PATH, list_name, index, member))
        for index, entry in enumerate(entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping) and entry.get("name") == name
    ]
    if len(found) != 1:
        problem = "names none" if not found else "names more than one"
        path = asked_at if list_name == "contexts" else json_path(asked_at, member)
        mistakes.append(Mistake(path, f"{problem} of `{list_name}`; expected the name of one"))
        return {}, ""
    entry, path = found[0]
    inner = entry.get(member)
    if not isinstance(inner, Mapping):
        mistakes.append(Mistake(path, "expected an object"))
        return {}, ""
    return cast("Mapping[str, Any]", inner), path


def _refusals(members: Mapping[str, Any], path: str, refused: Mapping[str, tuple[str, str]]) -> list[Mistake]:
    return [
        Mistake(json_path(path, key), message, hint)
        for key, (message, hint) in refused.items()
        if members.get(key)  # empty or false asks for nothing
    ]


@dataclass(frozen=True)
class _Reader:
    """Reads texts out of one cluster and one user entry."""

    mistakes: list[Mistake]

    def access(
        self, cluster: Mapping[str, Any], cluster_path: str, user: Mapping[str, Any], user_path: str
    ) -> Access:
        """What the two entries say; what is wrong in them goes to `mistakes`."""
        server = self._text(cluster, "server", cluster_path)
        if server is None:
            self.mistakes.append(
                Mistake(json_path(cluster_path, "server"), "is missing; expected an https:// URL")
            )
        return Access(
            server=server or "",
            certificate_authority=self._pem(
                cluster, "certificate-authority-data", cluster_path, credentials.CERTIFICATES
            ),
            token=self._text(user, "token", user_path),
            client_certificate=self._pem(
                user, "client-certificate-data", user_path, credentials.CERTIFICATES
            ),
            client_key=self._pem(user, "client-key-data", user_path, credentials.PRIVATE_KEYS),
            tls_server_name=self._text(cluster, "tls-server-name", cluster_path),
            proxy=self._text(cluster, "proxy-url", cluster_path),
            server_path=json_path(cluster_path, "server"),
            proxy_path=json_path(cluster_path, "proxy-url"),
            user_path=user_path,
        )

    def _text(self, members: Mapping[str, Any], key: str, path: str) -> str | None:
        value = members.get(key)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            self.mistakes.append(Mistake(json_path(path, key), "expected text", "put it in quotes"))
            return None
        return value.strip()

    def _pem(self, members: Mapping[str, Any], key: str, path: str, labels: frozenset[str]) -> str | None:
        encoded = self._text(members, key, path)
        if encoded is None:
            return None
        text = credentials.decode_base64(encoded)
        problem = "expected PEM in base64" if text is None else credentials.pem_refusal(text, labels)
        if problem is not None:
            self.mistakes.append(Mistake(json_path(path, key), problem))
            return None
        return text
