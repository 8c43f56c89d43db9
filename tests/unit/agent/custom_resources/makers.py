"""Objects and configurations as the claimant meets them."""

from dataclasses import replace
from typing import Any

from agent.custom_resources.resource import Resource
from agent.secrets.claims import Claim, ClaimKey, ClaimSource, Selection
from agent.secrets.duties import ClaimStatus
from agent.secrets.identity import Identity
from aws.identities import WebIdentity
from aws.registry_hosts import parse
from schemas.addons.aws_ecr import Adopted, PullSecret
from schemas.agent_documents import AgentConfiguration

ROLE = "arn:aws:iam::123456789012:role/pull"
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
AUDIENCE = "sts.amazonaws.com"
SPEC: dict[str, Any] = {
    "secretName": "shop-ecr",
    "registries": [REGISTRY],
    "namespaces": ["shop"],
    "serviceAccounts": ["*"],
    "identity": {"webIdentity": {"roleArn": ROLE}},
}


def configuration(
    *, custom_resources: bool = True, adopt: tuple[Adopted, ...] = (), **changes: Any
) -> AgentConfiguration:
    plain = AgentConfiguration(
        generation=1,
        cluster_uid="c-1",
        organisation="acme",
        cluster="demo",
        removing=False,
        role_arn=ROLE,
        audience=AUDIENCE,
        region=None,
        registries=(REGISTRY,),
        pull_secret=PullSecret(custom_resources=custom_resources, adopt=adopt),
    )
    return replace(plain, **changes)


def resource(spec: dict[str, Any] | None = None, **changes: Any) -> Resource:
    plain = Resource(
        name="shop",
        uid="u-1",
        resource_version="7",
        generation=3,
        deleting=False,
        finalizers=(),
        spec=SPEC if spec is None else spec,
        status={},
    )
    return replace(plain, **changes)


def claim(**changes: Any) -> Claim:
    registry = parse(REGISTRY)
    assert registry is not None
    plain = Claim(
        key=ClaimKey(ClaimSource.CUSTOM, "shop"),
        secret_name="shop-ecr",
        selection=Selection(namespaces=("shop",)),
        service_accounts="all",
        registries=(registry,),
        identity=Identity(WebIdentity(ROLE, AUDIENCE)),
    )
    return replace(plain, **changes)


def told(made: Claim | None = None, **changes: Any) -> ClaimStatus:
    return ClaimStatus(made or claim(), **changes)
