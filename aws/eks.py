"""EKS DescribeCluster: where a cluster's API server is, whom to believe there, and who signs its tokens.

Called by `controller.eks` with the credentials of a role that `aws.hub_identity` assumed; the role needs
`eks:DescribeCluster` on the cluster and nothing else.
https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeCluster.html
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from aws import errors
from aws.credentials import SessionCredentials
from aws.hub_failures import HubAwsFailure
from aws.hub_identity import client_config, session_of


@dataclass(frozen=True)
class EksDescription:
    """`certificate_authority` is PEM, `issuer` the cluster's OIDC issuer: "" where EKS names none."""

    endpoint: str
    certificate_authority: str
    issuer: str


def describe_cluster(name: str, *, region: str, credentials: SessionCredentials) -> EksDescription:
    """What EKS says of the cluster in the account of `credentials`.

    Raises:
        HubAwsFailure: `EksClusterNotFound` (also while it has no endpoint yet: transient), `EksAccessDenied`,
            `HubAwsUnreachable`.
    """
    with (
        _failures(credentials),
        closing(session_of(credentials).client("eks", region_name=region, config=client_config())) as client,
    ):
        found: Mapping[str, Any] = client.describe_cluster(name=name)["cluster"]
    endpoint, encoded = found.get("endpoint"), (found.get("certificateAuthority") or {}).get("data")
    if not endpoint or not encoded:
        words = f"the cluster is {found.get('status', 'not there yet')}, and has no endpoint"
        raise HubAwsFailure("EksClusterNotFound", words, transient=True)
    try:
        authority = base64.b64decode(encoded, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise HubAwsFailure("HubAwsUnreachable", "what answered is not EKS", transient=True) from error
    issuer = ((found.get("identity") or {}).get("oidc") or {}).get("issuer") or ""
    return EksDescription(endpoint, authority, issuer)


@contextmanager
def _failures(credentials: SessionCredentials) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        code, message = details.get("Code", "Unknown"), details.get("Message", "")
        words = errors.without_secrets(f"{code}: {message}", credentials.secrets)
        if code == "ResourceNotFoundException":
            raise HubAwsFailure("EksClusterNotFound", words) from error
        if errors.is_passing(code) or code.startswith("ExpiredToken"):
            raise HubAwsFailure("HubAwsUnreachable", words, transient=True) from error
        raise HubAwsFailure("EksAccessDenied", words) from error
    except (BotoCoreError, ResponseParserError, ValueError) as error:
        words = errors.without_secrets(str(error), credentials.secrets)
        raise HubAwsFailure("HubAwsUnreachable", words, transient=True) from error
