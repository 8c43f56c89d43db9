"""A person's own AWS credentials: the default chain of boto3, which the hub and the agent never use.

Called by `cli` for `pullpass aws …`. Profiles of `aws configure`, `aws sso login`, assumed roles and processes are
read by boto3 itself. Profiles of `aws login` need botocore's optional native library; without it the AWS CLI, which
made the login, is asked for the credentials (`aws configure export-credentials`).
https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-sign-in.html
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    MissingDependencyException,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from aws import transport
from aws.errors import without_secrets
from aws.setup.failures import SetupFailure
from aws.setup.quotas import HOME_REGIONS

if TYPE_CHECKING:
    from types_boto3_autoscaling import AutoScalingClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_eks import EKSClient
    from types_boto3_iam import IAMClient
    from types_boto3_service_quotas import ServiceQuotasClient

_EXPORT_SECONDS = 120  # `aws configure export-credentials` may renew a login over the network
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized")


@dataclass(frozen=True)
class UserSession:
    """Who calls, and clients that call so. `region` is the profile's or environment's, None where neither says."""

    session: Any
    account: str
    arn: str
    region: str | None

    @property
    def partition(self) -> str:
        """Of the caller, and so of everything that is made."""
        return self.arn.split(":")[1]

    def iam(self) -> IAMClient:
        """IAM answers in one region of each partition."""
        client: IAMClient = self._client("iam", HOME_REGIONS[self.partition])
        return client

    def service_quotas(self) -> ServiceQuotasClient:
        """Where the quotas of IAM are."""
        client: ServiceQuotasClient = self._client("service-quotas", HOME_REGIONS[self.partition])
        return client

    def eks(self, region: str) -> EKSClient:
        """For the node groups of a cluster."""
        client: EKSClient = self._client("eks", region)
        return client

    def autoscaling(self, region: str) -> AutoScalingClient:
        """For nodes outside EKS's node groups."""
        client: AutoScalingClient = self._client("autoscaling", region)
        return client

    def ec2(self, region: str) -> EC2Client:
        """For launch templates and instances."""
        client: EC2Client = self._client("ec2", region)
        return client

    def _client(self, service: str, region: str) -> Any:
        return self.session.client(service, region_name=region, config=_config())


def open_session(
    *, profile: str | None = None, region: str | None = None, partition: str = "aws"
) -> UserSession:
    """The caller's session, with the account it is for; `partition` is where to ask when no region is configured.

    Raises:
        SetupFailure: no credentials, or AWS does not take them.
    """
    with failures("sts:GetCallerIdentity"):
        # The AWS CLI knows AWS_REGION; boto3 reads AWS_DEFAULT_REGION alone.
        session = boto3.session.Session(
            profile_name=profile, region_name=region or os.environ.get("AWS_REGION") or None
        )
        try:
            credentials = session.get_credentials()
        except MissingDependencyException:
            session = _exported(session, profile)
            credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        client = session.client(
            "sts", region_name=session.region_name or HOME_REGIONS[partition], config=_config()
        )
        identity = client.get_caller_identity()
        client.close()
    return UserSession(session, identity["Account"], identity["Arn"], session.region_name)


@contextmanager
def failures(action: str) -> Iterator[None]:
    """What goes wrong inside leaves as `SetupFailure` of `action`."""
    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        code, message = details.get("Code", "Unknown"), details.get("Message", "")
        denied = code in _DENIED
        words = without_secrets(f"{code}: {message}")
        if denied:
            words += f" (these credentials need the permission {action})"
        elif code.startswith("ExpiredToken"):
            words += " (log in to AWS again)"
        raise SetupFailure(action, words, code=code, denied=denied) from error
    except NoCredentialsError as error:
        raise SetupFailure(
            action, "no AWS credentials found: run `aws login` or `aws configure`, or pass --profile"
        ) from error
    except NoRegionError as error:
        raise SetupFailure(action, "no AWS region: set AWS_REGION or one in the profile") from error
    except ProfileNotFound as error:
        raise SetupFailure(action, f"{error}; `aws configure list-profiles` lists those there are") from error
    except (SSOError, TokenRetrievalError) as error:
        raise SetupFailure(
            action, f"{error} Run `aws sso login`, with --profile where you use one."
        ) from error
    except (BotoCoreError, ValueError) as error:
        raise SetupFailure(action, without_secrets(str(error))) from error


def _config() -> Config:
    return Config(
        connect_timeout=transport.CONNECT_SECONDS,
        read_timeout=transport.READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 5},
    )


def _exported(session: Any, profile: str | None) -> Any:
    """A session with the credentials that the AWS CLI gives out for a profile of `aws login`."""
    program = shutil.which("aws")
    if program is None:
        raise SetupFailure(
            "aws login",
            "this profile was made by `aws login`: have the AWS CLI (2.32 or later) in PATH, so that it can be asked"
            " for the credentials, or install botocore[crt] beside Pullpass",
        )
    command = [program, "configure", "export-credentials", "--format", "process"]
    if profile is not None:
        command += ["--profile", profile]
    try:
        done = subprocess.run(  # noqa: S603 - the user's own AWS CLI, without a shell
            command, capture_output=True, text=True, timeout=_EXPORT_SECONDS, check=False
        )
        exported = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise SetupFailure("aws login", f"`aws configure export-credentials` failed: {error}") from error
    if exported is None:
        raise SetupFailure("aws login", without_secrets(done.stderr) or "`aws login` again")
    return boto3.session.Session(
        aws_access_key_id=exported["AccessKeyId"],
        aws_secret_access_key=exported["SecretAccessKey"],
        aws_session_token=exported.get("SessionToken"),
        region_name=session.region_name,
    )
