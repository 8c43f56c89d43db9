"""The bearer token by which EKS knows who asks: a presigned `sts:GetCallerIdentity`, which the API server sends on.

Pure: Signature Version 4 in the query, for the time that is given. The header `x-k8s-aws-id` binds it to one cluster, so
that no cluster can use what it was sent at another. Called by `controller.eks`.

https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

from aws import registry_hosts
from aws.credentials import SessionCredentials

LIFETIME = timedelta(minutes=15)  # of the token, whatever `X-Amz-Expires` says of the URL

_ALGORITHM = "AWS4-HMAC-SHA256"
_CLUSTER_HEADER = "x-k8s-aws-id"
_SIGNED_HEADERS = f"host;{_CLUSTER_HEADER}"
_URL_SECONDS = "60"  # as `aws eks get-token` has it; the API server sends it on at once
_NO_BODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class EksToken:
    """`text` goes into `Authorization: Bearer`."""

    text: str = field(repr=False)
    expires_at: datetime


def presigned(credentials: SessionCredentials, *, cluster: str, region: str, now: datetime) -> EksToken:
    """The token of whoever has `credentials`, for one cluster; it ends with them, after 15 minutes at most.

    `now` is UTC; seconds count, no more.
    """
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    scope = f"{now:%Y%m%d}/{region}/sts/aws4_request"
    parameters = {
        "Action": "GetCallerIdentity",
        "Version": "2011-06-15",
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key_id}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": _URL_SECONDS,
        "X-Amz-SignedHeaders": _SIGNED_HEADERS,
    }
    if credentials.session_token is not None:
        parameters["X-Amz-Security-Token"] = credentials.session_token
    query = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in sorted(parameters.items()))
    host = f"sts.{region}.{registry_hosts.suffix_of(region)}"
    request = f"GET\n/\n{query}\nhost:{host}\n{_CLUSTER_HEADER}:{cluster}\n\n{_SIGNED_HEADERS}\n{_NO_BODY}"
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in (
        *scope.split("/"),
        f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}",
    ):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    url = f"https://{host}/?{query}&X-Amz-Signature={key.hex()}"
    expires_at = now.replace(microsecond=0) + LIFETIME
    if credentials.expires_at is not None:
        expires_at = min(expires_at, credentials.expires_at)
    return EksToken(f"k8s-aws-v1.{base64.urlsafe_b64encode(url.encode()).decode().rstrip('=')}", expires_at)
