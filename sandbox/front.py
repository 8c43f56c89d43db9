"""The HTTP front of all clusters: `/clusters/NAME/...` is a cluster's API, `/-/clusters/NAME/...` changes its mood."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from sandbox.kubernetes.api import Answer, Call, KubernetesApi
from sandbox.kubernetes.statuses import (
    StatusError,
    bad_request,
    method_not_allowed,
    unauthorized,
    unknown_path,
)
from sandbox.kubernetes.store import dumped
from sandbox.serving import DESERTED, HangUp, status_line

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class ServedCluster(Protocol):
    """What the front needs of a cluster."""

    api: KubernetesApi
    down: bool

    @property
    def admin_token(self) -> str:
        """What the surface under `/-/` asks for."""

    def set_issuers(self, issuers: list[str]) -> None:
        """Other `--service-account-issuer` flags."""

    def take_down(self) -> None:
        """No answers from now on."""

    def bring_up(self) -> None:
        """Answers again."""


class Front:
    """The WSGI app over a mapping of clusters, which may grow while it serves."""

    def __init__(self, clusters: Mapping[str, ServedCluster]) -> None:
        self._clusters = clusters

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Raises `HangUp` for a cluster that is down."""
        try:
            answer = self._answer(environ)
        except StatusError as refused:
            answer = Answer(refused.code, dumped(refused.status()))
        headers = [("Content-Type", answer.content_type), *answer.headers]
        if not any(name == "Cache-Control" for name, _ in answer.headers):
            headers.append(("Cache-Control", "no-cache, private"))
        start_response(status_line(answer.code), headers)
        return answer.stream if answer.stream is not None else [answer.body]

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        parts = environ["PATH_INFO"].split("/", 3)
        if len(parts) > 2 and parts[1] == "clusters":  # noqa: PLR2004 - "", clusters, NAME, rest
            cluster = self._clusters.get(parts[2])
            if cluster is None:
                raise unknown_path()
            if cluster.down:
                raise HangUp
            return cluster.api.answer(_call(environ, "/" + parts[3] if len(parts) > 3 else "/"))  # noqa: PLR2004 - the same
        if environ["PATH_INFO"].startswith("/-/clusters/"):
            return self._mood(environ)
        raise unknown_path()

    def _mood(self, environ: WSGIEnvironment) -> Answer:
        name, _, verb = environ["PATH_INFO"].removeprefix("/-/clusters/").partition("/")
        cluster = self._clusters.get(name)
        if cluster is None:
            raise unknown_path()
        sent = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        if not hmac.compare_digest(sent.encode(), cluster.admin_token.encode()):
            raise unauthorized()
        if environ["REQUEST_METHOD"] != "POST":
            raise method_not_allowed()
        if verb == "down":
            cluster.take_down()
        elif verb == "up":
            cluster.bring_up()
        elif verb == "api-server":
            cluster.set_issuers(_issuers(environ["wsgi.input"].read()))
        else:
            raise unknown_path()
        return Answer(200, dumped({"cluster": name, "down": cluster.down}))


def _issuers(body: bytes) -> list[str]:
    try:
        issuers: Any = json.loads(body)["serviceAccountIssuers"]
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request('expected {"serviceAccountIssuers": [URL, ...]}: the first signs') from error
    if not isinstance(issuers, list) or not issuers or not all(isinstance(one, str) for one in issuers):
        raise bad_request("serviceAccountIssuers: expected a list of at least one URL")
    return issuers


def _call(environ: WSGIEnvironment, path: str) -> Call:
    return Call(
        method=environ["REQUEST_METHOD"],
        path=path,
        query_string=environ["QUERY_STRING"],
        authorization=environ.get("HTTP_AUTHORIZATION", ""),
        accept=environ.get("HTTP_ACCEPT", ""),
        content_type=environ["CONTENT_TYPE"],
        user_agent=environ.get("HTTP_USER_AGENT", ""),
        body=environ["wsgi.input"].read(),
        deserted=environ[DESERTED],
    )
