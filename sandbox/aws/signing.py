"""Signature Version 4 of requests, checked as AWS checks it: by making it anew with the secret that the signer has.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from werkzeug.wrappers import Request

_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} Credential=(?P<key>[^/,\s]+)/(?P<date>[0-9]{{8}})/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)"
    r"/aws4_request,\s*SignedHeaders=(?P<headers>[a-z0-9;-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_TIMESTAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Signature:
    """Who says to have signed a request, when, and for what."""

    access_key_id: str
    region: str
    service: str
    session_token: str | None
    signed_at: datetime
    _digest: str  # of the canonical request
    _signature: str

    def fits(self, secret_access_key: str) -> bool:
        """Whether it was made with this secret."""
        scope = f"{self.signed_at:%Y%m%d}/{self.region}/{self.service}/aws4_request"
        text = f"{_ALGORITHM}\n{self.signed_at.strftime(_TIMESTAMP)}\n{scope}\n{self._digest}"
        key = f"AWS4{secret_access_key}".encode()
        for part in (*scope.split("/"), text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return hmac.compare_digest(key.hex(), self._signature)


def read(request: Request) -> Signature | None:
    """The signature of a request, not yet checked; None when it has none that is whole."""
    match = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
    if match is None:
        return None
    try:
        signed_at = datetime.strptime(request.headers.get("X-Amz-Date", ""), _TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
    if f"{signed_at:%Y%m%d}" != match["date"]:
        return None
    return Signature(
        access_key_id=match["key"],
        region=match["region"],
        service=match["service"],
        session_token=request.headers.get("X-Amz-Security-Token"),
        signed_at=signed_at,
        _digest=_digest(request, match["headers"]),
        _signature=match["signature"],
    )


def _digest(request: Request, names: str) -> str:
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names.split(";")
    )
    query = "&".join(
        sorted(
            f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}"
            for key, value in request.args.items(multi=True)
        )
    )
    body = hashlib.sha256(request.get_data()).hexdigest()
    payload = request.headers.get("X-Amz-Content-SHA256", body)
    path = quote(request.path, safe="/~")
    canonical = f"{request.method}\n{path}\n{query}\n{headers}\n{names}\n{payload}"
    return hashlib.sha256(canonical.encode()).hexdigest()
