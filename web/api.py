"""The REST API, asked in this process as whoever is signed in: the console has no rules and no commands of its own.

A page sees exactly what `curl` would; a refusal comes back as `Refused`, with the mistakes and where they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from werkzeug.test import EnvironBuilder, run_wsgi_app

from fleet.records import Principal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# The API's access check takes it from here (`addon_api.authentication`); no header of a request gets this name.
PRINCIPAL = "pullpass.principal"

Json = Any


@dataclass(frozen=True)
class Reply:
    """A good answer; `body` is None where there is none."""

    status: int
    body: Json
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Mistake:
    """One thing that was wrong, and where (`$.spec.addOns`)."""

    path: str
    message: str
    hint: str


class Refused(Exception):
    """The API said no; `status` 404 and so on, `code` and `message` are its own words."""

    def __init__(self, status: int, code: str, message: str, mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.mistakes = mistakes


class Api:
    """The API behind its WSGI entry."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._description: Json = None

    def get(self, principal: Principal, *path: str, **query: str | int | None) -> Json:
        """The body of GET `/org/ORG/…`; parts of `path` are quoted, a query without a value is left out.

        Raises:
            Refused: the API refused it.
        """
        return self.call(principal, "GET", *path, query=query).body

    def text(self, principal: Principal, *path: str, **query: str | int | None) -> str:
        """As `get`, of an answer that is no JSON, or is to be shown as it came.

        Raises:
            Refused: the API refused it.
        """
        found: str = self._ask(
            principal, "GET", ("org", principal.org, *path), query=query, as_text=True
        ).body
        return found

    def call(
        self,
        principal: Principal,
        method: str,
        *path: str,
        body: Json = None,
        query: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request in the organisation of `principal`; `body` is sent as JSON, text as YAML.

        Raises:
            Refused: the API refused it.
        """
        return self._ask(
            principal, method, ("org", principal.org, *path), body=body, query=query, headers=headers
        )

    def description(self, principal: Principal) -> Json:
        """The API described by itself (OpenAPI 3.1), asked once: it is made anew for each question, and stays the same."""
        if self._description is None:
            self._description = self._ask(principal, "GET", ("openapi.json",)).body
        return self._description

    def _ask(
        self,
        principal: Principal,
        method: str,
        path: Sequence[str],
        *,
        body: Json = None,
        query: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
        as_text: bool = False,
    ) -> Reply:
        parts = "/".join(quote(part, safe="-") for part in path)
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        content_type = "application/yaml" if isinstance(body, str) else "application/json"
        data = None
        if body is not None:
            data = body if isinstance(body, str) else json.dumps(body)
        builder = EnvironBuilder(
            path=f"/{parts}",
            method=method,
            query_string=urlencode(asked),
            data=data,
            content_type=content_type if data is not None else None,
            headers=[("Accept", "application/json"), *(headers or {}).items()],
            environ_overrides={PRINCIPAL: principal},
        )
        try:
            chunks, status, answered = run_wsgi_app(self._app, builder.get_environ(), buffered=True)
        finally:
            builder.close()
        text = b"".join(chunks)
        code = int(status.split(" ", 1)[0])
        refused = code >= 400  # noqa: PLR2004 - HTTP's refusals and failures
        document: Json = text.decode()
        if refused or not as_text:
            document = json.loads(text) if text else None
        if refused:
            raise Refused(
                code,
                document["code"],
                document["message"],
                tuple(
                    Mistake(detail["path"], detail["message"], detail.get("hint", ""))
                    for detail in document["details"]
                ),
            )
        return Reply(code, document, dict(answered.items()))
