"""How AWS speaks: Query API with XML answers (IAM, STS).

https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

Xml = str | Sequence["Xml"] | Mapping[str, "Xml"]


class AwsError(Exception):
    """A refusal in AWS's words; each service writes it in its own protocol."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def members(form: Mapping[str, str], name: str) -> list[str]:
    """A list of the Query API: `NAME.member.1`, `NAME.member.2` and so on."""
    found: list[str] = []
    while (value := form.get(f"{name}.member.{len(found) + 1}")) is not None:
        found.append(value)
    return found


def answer(action: str, namespace: str, result: Mapping[str, Xml]) -> Response:
    """`<ACTIONResponse><ACTIONResult>…` as the Query API writes it."""
    inner = _element(f"{action}Result", result)
    metadata = _element("ResponseMetadata", {"RequestId": request_id()})
    text = f'<{action}Response xmlns="{namespace}">{inner}{metadata}</{action}Response>'
    return Response(text, content_type="text/xml")


def refusal(error: AwsError, namespace: str) -> Response:
    """`<ErrorResponse><Error>…` as the Query API writes it."""
    inner = _element("Error", {"Type": "Sender", "Code": error.code, "Message": error.message})
    identifier = _element("RequestId", request_id())
    text = f'<ErrorResponse xmlns="{namespace}">{inner}{identifier}</ErrorResponse>'
    return Response(text, status=error.status, content_type="text/xml")


def request_id() -> str:
    """A fresh one, as AWS puts on every answer."""
    return secrets.token_hex(16)


def _element(name: str, value: Xml) -> str:
    if isinstance(value, str):
        return f"<{name}>{escape(value)}</{name}>"
    if isinstance(value, Mapping):
        return f"<{name}>{''.join(_element(key, child) for key, child in value.items())}</{name}>"
    return f"<{name}>{''.join(_element('member', child) for child in value)}</{name}>"
