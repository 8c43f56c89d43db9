"""boto3 clients that take every fact as an argument, and botocore's exceptions as ours.

`aws.sts` and `aws.ecr` import it when they are first called, because boto3 costs a command line a fifth of a second. A client made here reads no `~/.aws`, no environment and no instance metadata:
the machine's own identity must never stand in for the cluster's, and where it is the one that was asked for,
`aws.metadata` fetches it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    ParamValidationError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError

from aws import errors, registry_hosts, transport
from aws.credentials import AwsEndpoints, SessionCredentials
from aws.errors import Kind
from aws.hops import HopName

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient
    from types_boto3_sts import STSClient


class EcrPublicClient(Protocol):
    """The one call of ECR Public that is made here; its types are in no package of ours."""

    def get_authorization_token(self) -> Mapping[str, Any]:
        """`authorizationData` is one object, not a list as ECR's."""

    def close(self) -> None:
        """Ends its connections."""


@contextmanager
def sts_client(
    *, region: str, endpoints: AwsEndpoints, attempts: int, credentials: SessionCredentials | None
) -> Iterator[STSClient]:
    """Unsigned without `credentials`: AssumeRoleWithWebIdentity needs none, and must not find any."""
    url = f"https://sts.{region}.{registry_hosts.suffix_of(region)}"
    with _options(endpoints.sts, url, endpoints, attempts, credentials) as options:
        client: STSClient = _session(region).client("sts", **options)
        with closing(client):
            yield client


@contextmanager
def ecr_client(
    *, credentials: SessionCredentials, region: str, endpoints: AwsEndpoints, attempts: int
) -> Iterator[ECRClient]:
    """Signed with `credentials`."""
    url = f"https://api.ecr.{region}.{registry_hosts.suffix_of(region)}"
    with _options(endpoints.ecr, url, endpoints, attempts, credentials) as options:
        client: ECRClient = _session(region).client("ecr", **options)
        with closing(client):
            yield client


@contextmanager
def ecr_public_client(
    *, credentials: SessionCredentials, endpoints: AwsEndpoints, attempts: int
) -> Iterator[EcrPublicClient]:
    """Signed with `credentials`, for the one region that gives out tokens of ECR Public."""
    region = registry_hosts.PUBLIC_REGION
    url = f"https://api.ecr-public.{region}.{registry_hosts.suffix_of(region)}"
    with _options(endpoints.ecr_public, url, endpoints, attempts, credentials) as options:
        client: EcrPublicClient = _session(region).client("ecr-public", **options)
        with closing(client):
            yield client


@contextmanager
def failures_of(
    hop: HopName, *, secrets: Collection[str], kinds: Collection[Kind] = (), about: str = ""
) -> Iterator[None]:
    """What goes wrong inside leaves as `AwsFailure` of `hop`; `secrets` never stand in its words.

    `kinds` and `about` are those of `aws.errors.refused`.
    """
    refused = partial(errors.refused, hop, secrets=secrets, kinds=kinds, about=about)
    unreachable = partial(errors.unreachable, hop, secrets=secrets)
    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        code, message = details.get("Code", ""), details.get("Message", "")
        raise refused(code or "Unknown", message or "") from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise unreachable(str(error)) from error
    except ResponseParserError as error:
        raise unreachable(f"what answered is not AWS: {error}") from error
    except ParamValidationError as error:
        raise refused("ValidationError", str(error)) from error
    except (BotoCoreError, ValueError) as error:  # a region, endpoint, proxy or CA bundle that cannot be used
        raise unreachable(str(error), transient=False) from error


@contextmanager
def _options(
    endpoint: str | None,
    default: str,
    endpoints: AwsEndpoints,
    attempts: int,
    credentials: SessionCredentials | None,
) -> Iterator[dict[str, Any]]:
    """`default` is where AWS answers without an `endpoint` of the settings, as far as the proxy is concerned."""
    proxy = transport.proxy_for(endpoint or default, endpoints)
    config = Config(
        signature_version=UNSIGNED if credentials is None else None,
        connect_timeout=transport.CONNECT_SECONDS,
        read_timeout=transport.READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        proxies={} if proxy is None else {"https": proxy},
        max_pool_connections=1,
    )
    keys = {}
    if credentials is not None:
        keys = {
            "aws_access_key_id": credentials.access_key_id,
            "aws_secret_access_key": credentials.secret_access_key,
            "aws_session_token": credentials.session_token,
        }
    with transport.authorities_file(endpoints) as authorities:
        yield {"endpoint_url": endpoint, "config": config, "verify": authorities or True, **keys}


@cache
def service_models() -> Loader:
    """The service models, read once: they take most of the time that a client costs."""
    return create_loader()


def _session(region: str) -> boto3.session.Session:
    variables = {
        name: None if variable is None else (None, None, variable[2], variable[3])
        for name, variable in botocore.session.Session.SESSION_VARIABLES.items()
    }
    for name in ("config_file", "credentials_file"):
        variables[name] = (None, None, os.devnull, None)
    variables["ignore_configured_endpoint_urls"] = (None, None, True, None)
    session = botocore.session.Session(session_vars=variables)
    session.register_component("data_loader", service_models())
    return boto3.session.Session(botocore_session=session, region_name=region)
