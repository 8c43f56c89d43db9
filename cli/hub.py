"""A small client of the hub's API, for the commands that a person runs from elsewhere.

Every failure says what was wrong, where, and what to do; it ends the command with exit code 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import click
import urllib3

PAGE_SIZE = 500

_NOT_KNOWN, _TOO_SMALL, _ABSENT = 401, 403, 404


class HubError(click.ClickException):
    """The hub said no, or nothing; the message is what a person can act on. `status` is 0 where nobody answered."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Hub:
    """The API at `endpoint`, spoken to with one token as a member of `org`."""

    def __init__(self, endpoint: str, token: str, org: str = "", *, read_seconds: float = 30) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.org = org
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5, read=read_seconds))

    def cluster(self, name: str, *rest: str) -> str:
        """The path of a cluster of `org`, or of something below it."""
        return "/".join(("/org", quote(self.org, safe=""), "mk8s", quote(name, safe=""), *rest))

    @property
    def clusters(self) -> str:
        """The path of all clusters of `org`."""
        return f"/org/{quote(self.org, safe='')}/mk8s"

    def items(self, path: str) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        following: str | None = path
        while following is not None:
            page = self.request("GET", following)
            yield from page["items"]
            following = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)

    def find(self, path: str) -> dict[str, Any] | None:
        """As `request` with GET; None where there is no such thing."""
        try:
            return self.request("GET", path)
        except HubError as error:
            if error.status == _ABSENT:
                return None
            raise

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that the hub answers with.

        Raises:
            HubError: no answer, or a status that is not 2xx.
        """
        response = self._send(method, path, body)
        return dict(self._document(response, method, path))

    def text(self, path: str) -> str:
        """What the hub answers to GET, where that is no JSON object of its own.

        Raises:
            HubError: as `request`.
        """
        response = self._send("GET", path, None)
        if not _is_good(response.status):
            self._document(response, "GET", path)
        return response.data.decode()

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(
                method,
                self.endpoint + path,
                headers={
                    **self._headers,
                    **({"Content-Type": "application/json"} if body is not None else {}),
                },
                body=None if body is None else json.dumps(body).encode(),
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, UnicodeError) as error:
            raise HubError(
                f"no answer from {self.endpoint}: {error}\n  do: check the address (`pullpass contexts list`,"
                " PULLPASS_ENDPOINT) and the network on the way"
            ) from error

    def _document(self, response: urllib3.BaseHTTPResponse, method: str, path: str) -> Mapping[str, Any]:
        try:
            answer = json.loads(response.data) if response.data else {}
        except ValueError:
            raise HubError(
                f"{self.endpoint} answered {response.status} with no JSON: is it a Pullpass hub?",
                response.status,
            ) from None
        if not _is_good(response.status):
            raise HubError(self._message(answer, method, path, response.status), response.status)
        found: Mapping[str, Any] = answer
        return found

    def _message(self, answer: Mapping[str, Any], method: str, path: str, status: int) -> str:
        message = str(answer.get("message") or f"the hub answered {status}")
        details = answer.get("details")
        found = (
            [_detail(one) for one in details if isinstance(one, dict)] if isinstance(details, list) else []
        )
        lines = [message, *(f"  {detail}" for detail in found if detail != message)]
        named = f", request {answer['id']}" if answer.get("id") else ""
        lines.append(f"  at: {method} {self.endpoint}{path} ({status}{named})")
        if advice := self._advice(status, message):
            lines.append(f"  do: {advice}")
        return "\n".join(lines)

    def _advice(self, status: int, message: str) -> str:
        if status == _NOT_KNOWN:
            return (
                f"pullpass login {self.endpoint} (the token is not known there, was revoked or has expired)"
            )
        if status == _TOO_SMALL:
            return (
                "use a token with a larger role; `pullpass tokens issue --role` makes one beside the database"
            )
        if status == _ABSENT and message.startswith("cluster "):
            return "pullpass clusters list"
        return ""


def _detail(detail: Mapping[str, Any]) -> str:
    """One mistake, in the words that the hub has for the first of them."""
    hint = f" ({detail['hint']})" if detail.get("hint") else ""
    return f"{detail.get('path')}: {detail.get('message')}{hint}"


def _is_good(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - HTTP's success
