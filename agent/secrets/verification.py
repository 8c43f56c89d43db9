"""The walk from this cluster's token to an image, with this agent's configuration: token → STS → ECR → registry.

`aws.chain` walks; here its questions get their arguments and are counted. A walk fetches a credential on its way,
so that a refresh and a proof are one call. `check_registries` repeats only the last hop, with a credential that is
being served. Called by `agent.secrets.regions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from aws import chain, ecr, registry, sessions, sts
from aws.credentials import AwsEndpoints, RegistryCredential, SessionCredentials
from aws.hops import AwsFailure, Hop, HopName
from aws.registry_hosts import RegistryHost, of_image
from schemas.agent_documents import AgentConfiguration
from schemas.connection import AwsAccess

# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html: [\w+=,.@-]{2,64}
_NOT_IN_SESSION_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)
_CLUSTER_NAME_SHARE, _UID_SHARE = 40, 8


class AwsCalls(Protocol):
    """The three questions asked of AWS; each raises `aws.hops.AwsFailure`."""

    def assume_role(
        self, *, role_arn: str, token: str, session_name: str, region: str, endpoints: AwsEndpoints
    ) -> SessionCredentials:
        """STS AssumeRoleWithWebIdentity."""

    def authorization_token(
        self, *, credentials: SessionCredentials, region: str, endpoints: AwsEndpoints, now: datetime
    ) -> RegistryCredential:
        """ECR GetAuthorizationToken."""

    def check_registry(
        self, *, host: str, credential: RegistryCredential, image: str | None, endpoints: AwsEndpoints
    ) -> None:
        """The registry's `/v2/`, or the manifest of `image`."""


class RealAws:
    """AWS itself; `called` hears of each call (`sts`, `ecr`, `registry`)."""

    def __init__(self, called: Callable[[str], None]) -> None:
        self._called = called

    def assume_role(
        self, *, role_arn: str, token: str, session_name: str, region: str, endpoints: AwsEndpoints
    ) -> SessionCredentials:
        self._called("sts")
        return sts.assume_role_with_web_identity(
            role_arn=role_arn, token=token, session_name=session_name, region=region, endpoints=endpoints
        )

    def authorization_token(
        self, *, credentials: SessionCredentials, region: str, endpoints: AwsEndpoints, now: datetime
    ) -> RegistryCredential:
        self._called("ecr")
        return ecr.authorization_token(credentials=credentials, region=region, endpoints=endpoints, now=now)

    def check_registry(
        self, *, host: str, credential: RegistryCredential, image: str | None, endpoints: AwsEndpoints
    ) -> None:
        self._called("registry")
        registry.check(host=host, credential=credential, image=image, endpoints=endpoints)


@dataclass(frozen=True)
class RegionWalk:
    """How far a walk for one region came: the hops walked, the last of them failed where `failure` is set.

    `credential` is what ECR gave, also where the registry then refused it.
    """

    hops: tuple[Hop, ...]
    credential: RegistryCredential | None = None
    failure: AwsFailure | None = None


def walk(
    aws: AwsCalls,
    configuration: AgentConfiguration,
    *,
    sts_region: str,
    registries: Sequence[RegistryHost],
    token_file: str,
    now: datetime,
) -> RegionWalk:
    """Walks all hops for `registries`, which are of one region. The token is read anew: the kubelet replaces it."""
    endpoints = endpoints_of(configuration.aws)
    image = _image_on(registries, configuration.verify_image)

    def open_session() -> SessionCredentials:
        return aws.assume_role(
            role_arn=configuration.role_arn,
            token=sessions.token_text(lambda: Path(token_file).read_text(encoding="ascii")),
            session_name=session_name(configuration),
            region=sts_region,
            endpoints=endpoints,
        )

    def authorize(*, credentials: SessionCredentials, region: str) -> RegistryCredential:
        return aws.authorization_token(credentials=credentials, region=region, endpoints=endpoints, now=now)

    def check(*, host: str, credential: RegistryCredential, image: str | None) -> None:
        aws.check_registry(host=host, credential=credential, image=image, endpoints=endpoints)

    found = chain.walk(
        first_hops=(HopName.TOKEN, HopName.STS),
        open_session=open_session,
        registries=[registry_host.host for registry_host in registries],
        image=image,
        authorize=authorize,
        check=check,
    )
    return RegionWalk(
        hops=found.hops,
        credential=next(iter(found.credentials.values()), None),
        failure=found.failures[0] if found.failures else None,
    )


def check_registries(
    aws: AwsCalls,
    configuration: AgentConfiguration,
    *,
    credential: RegistryCredential,
    registries: Sequence[RegistryHost],
) -> RegionWalk:
    """Walks the last hop alone, to each of `registries`; to the image to verify where that is one of theirs."""
    endpoints = endpoints_of(configuration.aws)
    image = _image_on(registries, configuration.verify_image)
    image_host = of_image(image) if image else None
    try:
        for registry_host in registries:
            aws.check_registry(
                host=registry_host.host,
                credential=credential,
                image=image if image_host == registry_host else None,
                endpoints=endpoints,
            )
    except AwsFailure as failure:
        hop = Hop(HopName.REGISTRY, succeeded=False, code=failure.code, message=failure.message)
        return RegionWalk((hop,), credential, failure)
    return RegionWalk((Hop(HopName.REGISTRY, succeeded=True),), credential)


def session_name(configuration: AgentConfiguration) -> str:
    """What CloudTrail shows: the cluster's name and the beginning of its uid, within STS's alphabet and length."""
    cluster = _NOT_IN_SESSION_NAME.sub("-", configuration.cluster)[:_CLUSTER_NAME_SHARE]
    uid = _NOT_IN_SESSION_NAME.sub("-", configuration.cluster_uid)[:_UID_SHARE]
    return f"pullpass-{cluster}-{uid}"


def endpoints_of(access: AwsAccess) -> AwsEndpoints:
    """The configuration's words for the endpoints, in those of `aws`."""
    return AwsEndpoints(
        sts=access.sts_endpoint,
        ecr=access.ecr_endpoint,
        ecr_public=access.ecr_public_endpoint,
        registry=access.registry_endpoint,
        metadata=access.metadata_endpoint,
        https_proxy=access.https_proxy,
        no_proxy=access.no_proxy,
        ca_bundle=access.ca_bundle,
    )


def _image_on(registries: Sequence[RegistryHost], image: str | None) -> str | None:
    """`image`, where it is on one of `registries`."""
    return image if image is not None and of_image(image) in registries else None
