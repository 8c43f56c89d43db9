"""The walk from an identity to an image: token or keys → STS → ECR → registry.

`aws.chain` walks; here its questions get their arguments and are counted. A walk fetches a credential on its way,
so that a refresh and a proof are one call. `check_registries` repeats only the last hop, with a credential that is
being served. Called by `agent.secrets.fetching`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from agent.secrets.identity import CredentialKey, Identity, StoredKeys
from aws import chain, ecr, registry, sessions
from aws.credentials import AwsEndpoints, RegistryCredential, SessionCredentials
from aws.hops import AwsFailure, Hop, HopName
from aws.identities import AccessKeys, InstanceMetadata, RoleLink, WebIdentity
from aws.registry_hosts import RegistryHost, of_image
from schemas.agent_documents import AgentConfiguration
from schemas.connection import AwsAccess

# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html: [\w+=,.@-]{2,64}
_NOT_IN_SESSION_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)
_CLUSTER_NAME_SHARE, _UID_SHARE = 40, 8


class AwsCalls(Protocol):
    """The three questions asked of AWS; each raises `aws.hops.AwsFailure`."""

    def session(
        self,
        source: sessions.Source,
        roles: Sequence[RoleLink],
        *,
        read_token: Callable[[], str],
        session_name: str,
        region: str,
        endpoints: AwsEndpoints,
    ) -> SessionCredentials:
        """STS, as often as the identity needs it; or the instance's metadata; or nothing, for bare keys."""

    def authorization_token(
        self, *, credentials: SessionCredentials, region: str, endpoints: AwsEndpoints, now: datetime
    ) -> RegistryCredential:
        """ECR GetAuthorizationToken."""

    def check_registry(
        self, *, host: str, credential: RegistryCredential, image: str | None, endpoints: AwsEndpoints
    ) -> None:
        """The registry's `/v2/`, or the manifest of `image`."""


class RealAws:
    """AWS itself; `called` hears of each call (`sts`, `metadata`, `ecr`, `registry`)."""

    def __init__(self, called: Callable[[str], None]) -> None:
        self._called = called

    def session(
        self,
        source: sessions.Source,
        roles: Sequence[RoleLink],
        *,
        read_token: Callable[[], str],
        session_name: str,
        region: str,
        endpoints: AwsEndpoints,
    ) -> SessionCredentials:
        match source:
            case WebIdentity():
                self._called("sts")
            case InstanceMetadata():
                self._called("metadata")
        for _ in roles:
            self._called("sts")
        return sessions.session(
            source,
            roles,
            read_token=read_token,
            session_name=session_name,
            region=region,
            endpoints=endpoints,
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
class Sources:
    """Where identities come from: the projected token's file, and the key pairs in secrets.

    Both are read anew for each walk: the kubelet replaces the one, people the other, and neither is kept.
    """

    token_file: str
    read_keys: Callable[[StoredKeys], AccessKeys]

    def read_token(self) -> str:
        """The web identity token; raises `OSError`, or `UnicodeDecodeError`."""
        return Path(self.token_file).read_text(encoding="ascii")


@dataclass(frozen=True)
class Asked:
    """One walk: for which key, which registries it is to prove (none: a credential alone), how it names itself.

    `image` is looked for on its own registry, where that is one of `registries`.
    """

    key: CredentialKey
    registries: tuple[RegistryHost, ...]
    image: str | None
    sts_region: str
    session_name: str


@dataclass(frozen=True)
class KeyWalk:
    """How far a walk came: the hops walked, the last of them failed where `failure` is set.

    `credential` is what ECR gave, also where the registry then refused it.
    """

    hops: tuple[Hop, ...]
    credential: RegistryCredential | None = None
    failure: AwsFailure | None = None


def walk(aws: AwsCalls, asked: Asked, sources: Sources, now: datetime) -> KeyWalk:
    """Walks all hops: from the identity's source by STS and ECR to each registry that is to be proven."""
    identity, region = asked.key.identity, asked.key.region
    endpoints = identity.endpoints

    def open_session() -> SessionCredentials:
        source = identity.source
        return aws.session(
            sources.read_keys(source) if isinstance(source, StoredKeys) else source,
            identity.roles,
            read_token=sources.read_token,
            session_name=asked.session_name,
            region=asked.sts_region,
            endpoints=endpoints,
        )

    def authorize(*, credentials: SessionCredentials, region: str) -> RegistryCredential:
        return aws.authorization_token(credentials=credentials, region=region, endpoints=endpoints, now=now)

    if not asked.registries:
        try:
            return KeyWalk((), authorize(credentials=open_session(), region=region))
        except AwsFailure as failure:
            return KeyWalk(
                (Hop(failure.hop, succeeded=False, code=failure.code, message=failure.message),),
                None,
                failure,
            )

    def check(*, host: str, credential: RegistryCredential, image: str | None) -> None:
        aws.check_registry(host=host, credential=credential, image=image, endpoints=endpoints)

    found = chain.walk(
        first_hops=_first_hops(identity),
        open_session=open_session,
        registries=[registry_host.host for registry_host in asked.registries],
        image=_image_on(asked.registries, asked.image),
        authorize=authorize,
        check=check,
    )
    return KeyWalk(found.hops, found.credentials.get(region), found.failures[0] if found.failures else None)


def check_registries(aws: AwsCalls, asked: Asked, credential: RegistryCredential) -> KeyWalk:
    """Walks the last hop alone, to each registry; to the image to verify where that is on one of them."""
    image = _image_on(asked.registries, asked.image)
    image_host = of_image(image) if image else None
    try:
        for registry_host in asked.registries:
            aws.check_registry(
                host=registry_host.host,
                credential=credential,
                image=image if image_host == registry_host else None,
                endpoints=asked.key.identity.endpoints,
            )
    except AwsFailure as failure:
        hop = Hop(HopName.REGISTRY, succeeded=False, code=failure.code, message=failure.message)
        return KeyWalk((hop,), credential, failure)
    return KeyWalk((Hop(HopName.REGISTRY, succeeded=True),), credential)


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


def _first_hops(identity: Identity) -> tuple[HopName, ...]:
    """Those before ECR; a key pair in a secret has to be read first."""
    source = identity.source
    if isinstance(source, StoredKeys):
        return (HopName.TOKEN, HopName.STS) if identity.roles else (HopName.TOKEN,)
    return sessions.hops(source, identity.roles)


def _image_on(registries: Sequence[RegistryHost], image: str | None) -> str | None:
    """`image`, where it is on one of `registries`."""
    return image if image is not None and of_image(image) in registries else None
