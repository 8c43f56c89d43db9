"""A small client of the hub's API, for the commands that a person runs from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
import urllib3


class HubError(click.ClickException):
    """The hub said no, or nothing; the message is what a person can act on."""


class Hub:
    """The API at `endpoint`, spoken to with one token."""

    def __init__(self, endpoint: str, token: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5, read=30))

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that the hub answers with.

        Raises:
            HubError: no answer, or a status that is not 2xx.
        """
        try:
            response = self._pool.request(
                method,
                self._endpoint + path,
                headers={
                    **self._headers,
                    **({"Content-Type": "application/json"} if body is not None else {}),
                },
                body=None if body is None else json.dumps(body).encode(),
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise HubError(f"no answer from {self._endpoint}: {error}") from error
        try:
            answer = json.loads(response.data) if response.data else {}
        except ValueError:
            raise HubError(
                f"{self._endpoint} answered {response.status} with no JSON: is it a Pullpass hub?"
            ) from None
        if not 200 <= response.status < 300:  # noqa: PLR2004 - HTTP's success
            raise HubError(_message(answer, response.status))
        return dict(answer)


def _message(answer: Mapping[str, Any], status: int) -> str:
    lines = [str(answer.get("message") or f"the hub answered {status}")]
    details = answer.get("details")
    if isinstance(details, list):
        lines += [
            f"  {detail.get('path')}: {detail.get('message')} {detail.get('hint') or ''}".rstrip()
            for detail in details
            if isinstance(detail, dict)
        ]
    return "\n".join(lines)
