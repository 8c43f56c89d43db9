"""The credentials of the machine's own role: EC2's instance metadata service, version 2 only.

Not botocore's fetcher: that one takes proxies from the process's environment, and where it gets nothing it does not
say why. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import urllib3

from aws import errors
from aws.credentials import AwsEndpoints, SessionCredentials
from aws.hops import AwsFailure, HopName

ADDRESS = "http://169.254.169.254"
TIMEOUT_SECONDS = 2.0  # of one request: it is answered on the same machine, or never

_ROLES = "/latest/meta-data/iam/security-credentials/"
_TOKEN_SECONDS = "300"  # noqa: S105 - for how long the token is good
_LONGEST_ANSWER = 65_536  # bytes
_HOP_LIMIT = (
    "a pod that is not on its node's network is answered only where the instance's metadata options allow a"
    " hop limit of 2"
)


def instance_credentials(*, endpoints: AwsEndpoints, attempts: int) -> SessionCredentials:
    """The credentials of the instance's role.

    Raises:
        aws.hops.AwsFailure: hop sts, `MetadataUnavailable`.
    """
    base = (endpoints.metadata or ADDRESS).rstrip("/")
    with urllib3.PoolManager(
        timeout=TIMEOUT_SECONDS, retries=urllib3.Retry(total=attempts - 1, redirect=False, backoff_factor=0.1)
    ) as pool:
        token = _ask(
            pool,
            "PUT",
            f"{base}/latest/api/token",
            {"x-aws-ec2-metadata-token-ttl-seconds": _TOKEN_SECONDS},
        )
        headers = {"x-aws-ec2-metadata-token": token}
        role = _ask(pool, "GET", f"{base}{_ROLES}", headers).strip()
        if not role or "\n" in role:
            raise _unavailable("the instance has no role")
        document = _ask(pool, "GET", f"{base}{_ROLES}{role}", headers)
    return _credentials(role, document)


def _ask(pool: urllib3.PoolManager, method: str, url: str, headers: dict[str, str]) -> str:
    try:
        response = pool.request(method, url, headers=headers, preload_content=False)
        try:
            body = response.read(_LONGEST_ANSWER)
        finally:
            response.release_conn()
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise _unavailable(f"{url}: {error}; {_HOP_LIMIT}") from error
    if response.status == 404 and method == "GET":  # noqa: PLR2004 - the HTTP status
        raise _unavailable("the instance has no role")
    if response.status != 200:  # noqa: PLR2004 - the HTTP status
        raise _unavailable(f"{url} answered {response.status} {response.reason or ''}")
    return body.decode("utf-8", errors="replace")


def _credentials(role: str, text: str) -> SessionCredentials:
    try:
        document: dict[str, Any] = json.loads(text)
        if document.get("Code", "Success") != "Success":
            raise _unavailable(f"role {role}: {document['Code']}: {document.get('Message', '')}")
        return SessionCredentials(
            access_key_id=str(document["AccessKeyId"]),
            secret_access_key=str(document["SecretAccessKey"]),
            session_token=str(document["Token"]),
            expires_at=datetime.fromisoformat(document["Expiration"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # The error's own words may repeat what stands in the document.
        raise _unavailable(f"role {role}: the answer holds no credentials") from error


def _unavailable(words: str) -> AwsFailure:
    return AwsFailure(HopName.STS, "MetadataUnavailable", errors.without_secrets(words), transient=True)
