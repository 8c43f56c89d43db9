"""What an EKS cluster's authenticator does with a token `k8s-aws-v1.…`, as strictly as the real one.

The token is a presigned call to STS in base64. It is sent on only where it cannot be anything else: to STS, for
GetCallerIdentity, with no other parameter, signed together with this cluster's name, and no older than 15 minutes.
https://github.com/kubernetes-sigs/aws-iam-authenticator/blob/master/pkg/token/token.go
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import SplitResult, parse_qsl, urlsplit

from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from sandbox.aws.callers import Caller
from sandbox.aws.protocol import AwsError

PREFIX = "k8s-aws-v1."

_CLUSTER_HEADER = "x-k8s-aws-id"
_LIFE = timedelta(minutes=15)
_LONGEST = 4096  # characters
_STS_HOST = re.compile(r"sts(\.[a-z0-9-]+)?\.(amazonaws\.com(\.cn)?|amazonaws\.eu)")
_PARAMETERS = {
    "action",
    "version",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
}

User = tuple[str, tuple[str, ...]]


def authenticate(
    token: str,
    cluster: str,
    *,
    now: datetime,
    call_sts: Callable[[Request], Caller],
    access: Callable[[Caller], User | None],
) -> User | None:
    """The user and groups that `token` stands for in the EKS cluster of that name; None: 401.

    Args:
        token: As it came in the Authorization header.
        cluster: What the call has to be signed for.
        now: The time.
        call_sts: STS, which raises `AwsError` for a call that it does not take.
        access: What the caller is in the cluster, None where no access entry says so.
    """
    url = _url(token)
    if url is None or not _is_harmless(url, now):
        return None
    headers: list[tuple[str, str]] = [(_CLUSTER_HEADER, cluster), ("Accept", "application/json")]
    builder = EnvironBuilder(
        base_url=f"https://{url.netloc}", path=url.path, query_string=url.query, headers=headers
    )
    try:
        caller = call_sts(Request(builder.get_environ()))
    except AwsError:
        return None
    finally:
        builder.close()
    return access(caller)


def _url(token: str) -> SplitResult | None:
    encoded = token.removeprefix(PREFIX)
    if not token.startswith(PREFIX) or len(token) > _LONGEST or "=" in encoded:
        return None
    try:
        return urlsplit(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("ascii"))
    except (binascii.Error, ValueError):
        return None


def _is_harmless(url: SplitResult, now: datetime) -> bool:
    if url.scheme != "https" or _STS_HOST.fullmatch(url.netloc) is None or url.path != "/":
        return False
    given = [(name.lower(), value) for name, value in parse_qsl(url.query, keep_blank_values=True)]
    parameters = dict(given)
    if len(parameters) != len(given) or not parameters.keys() <= _PARAMETERS:
        return False
    signed = parameters.get("x-amz-signedheaders", "").split(";")
    try:
        signed_at = datetime.strptime(parameters["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        url_seconds = int(parameters["x-amz-expires"])
    except (KeyError, ValueError):
        return False
    return (
        parameters.get("action") == "GetCallerIdentity"
        and _CLUSTER_HEADER in signed
        and 0 <= url_seconds <= _LIFE.total_seconds()
        and now < signed_at + _LIFE
    )
