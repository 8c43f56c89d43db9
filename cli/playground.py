"""What `pullpass up --sandbox` shows: three clusters in different moods, an AWS account and a private image.

- `demo`, provider aws: healthy; its IAM OIDC provider and role exist, awsECR is not enabled yet.
- `edge`, provider hetzner: its issuer is private, so AWS cannot check its tokens: awsECR is blocked, and says how on.
- `down`, provider generic: nobody answers at its address.

A second start finds everything as it was left.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aws.trust_policy import TrustedWorkload, subject, trust_policy
from cli import wiring
from cli.connect import install
from cli.settings import Settings
from controller.connecting import access_of
from fleet import clusters, connections
from fleet.clusters import Wish
from fleet.database import Database
from fleet.records import ClusterKey, Principal, Role
from kube.client import Client
from sandbox.world import SandboxCluster, World
from schemas import connection_bodies, trusted_accounts
from schemas.errors import NotFound

ACCOUNT = "123456789012"
REGION = "eu-central-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pullpass"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
IMAGE = f"{REGISTRY}/shop/web:1.0"
AUDIENCE = "sts.amazonaws.com"
PUBLIC_ISSUER = f"https://oidc.eks.{REGION}.amazonaws.com/id/0F1E2D3C4B5A69788796A5B4C3D2E1F0"
PRIVATE_ISSUER = "https://kubernetes.default.svc.cluster.local"

MANIFESTS: dict[str, dict[str, Any]] = {
    "demo": {
        "kind": "mk8s",
        "name": "demo",
        "description": "healthy, on aws",
        "tags": {},
        "spec": {
            "version": "1.34.4",
            "provider": {
                "aws": {
                    "region": REGION,
                    "deployRoleArn": f"arn:aws:iam::{ACCOUNT}:role/deploy",
                    "vpcId": "vpc-0a1b2c3d",
                    "image": {"recommended": "amazon/al2023"},
                    "nodePools": [],
                }
            },
        },
    },
    "edge": {
        "kind": "mk8s",
        "name": "edge",
        "description": "on hetzner, with a private issuer",
        "tags": {},
        "spec": {
            "version": "1.34.4",
            "provider": {
                "hetzner": {
                    "region": "fsn1",
                    "tokenSecretLink": "//secret/hetzner",
                    "networkId": "1234",
                    "image": "ubuntu-24.04",
                    "nodePools": [],
                }
            },
            "addOns": {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE}},
        },
        "settings": {"awsECR": {"registries": [REGISTRY]}},
    },
    "down": {
        "kind": "mk8s",
        "name": "down",
        "description": "nobody answers",
        "tags": {},
        "spec": {
            "version": "1.34.4",
            "provider": {"generic": {"location": "aws-eu-central-1"}},
            "addOns": {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE}},
        },
        "settings": {"awsECR": {"registries": [REGISTRY]}},
    },
}


@contextmanager
def world(configured: Settings, database: Database) -> Iterator[World]:
    """The sandbox, started and registered with the hub; stopped on the way out."""
    public_host = (configured.public_url or "").removeprefix("https://")
    sandbox = World(
        state_directory=configured.data_directory / "sandbox",
        public_hosts={public_host: f"http://127.0.0.1:{configured.port}"} if public_host else {},
    )
    sandbox.start()
    try:
        sandbox.add_image(IMAGE)
        for name, issuer in (("demo", PUBLIC_ISSUER), ("edge", PRIVATE_ISSUER), ("down", PRIVATE_ISSUER)):
            cluster = sandbox.add_cluster(
                name, issuer=issuer, public=issuer == PUBLIC_ISSUER, down=name == "down"
            )
            _register(sandbox, cluster, ClusterKey(configured.bootstrap_org, name), database)
        yield sandbox
    finally:
        sandbox.stop()


def commands_to_try(configured: Settings) -> str:
    """Four commands that show what this is about, with the token and the address filled in."""
    program = Path(sys.argv[0]) if Path(sys.argv[0]).name == "pullpass" else Path("pullpass")
    return f"""\
  export PULLPASS_ENDPOINT=http://127.0.0.1:{configured.port} PULLPASS_ORG={configured.bootstrap_org} PULLPASS_TOKEN={configured.bootstrap_token}

  1. Enable awsECR on the healthy cluster, and see it get Ready:
     {program} addons enable demo awsECR --role-arn {ROLE} --wait
  2. See its OIDC provider URL and steps, and walk its whole chain now:
     {program} clusters get demo
     {program} doctor demo
  3. See what the cluster with the private issuer waits for, and the exact remedy:
     {program} clusters get edge"""


def _prepare_aws(sandbox: World) -> None:
    """What a person would have done in IAM for `demo`."""
    sandbox.create_oidc_provider(ACCOUNT, PUBLIC_ISSUER, [AUDIENCE])
    subjects = tuple(subject(*account.split("/")) for account in trusted_accounts.BY_DEFAULT)
    workload = TrustedWorkload(PUBLIC_ISSUER, AUDIENCE, subjects)
    sandbox.create_role(ROLE, trust_policy(ROLE, [workload]))


def _register(sandbox: World, cluster: SandboxCluster, key: ClusterKey, database: Database) -> None:
    """What a person would have done once: created the cluster, installed the rights, connected."""
    try:
        clusters.read(database, key)
    except NotFound:
        pass
    else:
        return
    now = wiring.now()
    owner = Principal(token_id="playground", name="playground", org=key.org, role=Role.ADMIN)  # noqa: S106 - an id
    manifest = {name: value for name, value in MANIFESTS[key.name].items() if name != "settings"}
    clusters.create(database, owner, key, Wish(manifest, MANIFESTS[key.name].get("settings", {})), now=now)
    endpoints = sandbox.aws_endpoints
    aws = {f"{name}Endpoint": endpoints[name] for name in ("sts", "ecr", "ecrPublic", "metadata", "registry")}
    body = {"kubeconfig": cluster.kubeconfig(), "settings": {"timeoutSeconds": 5, "aws": aws}}
    connected = connection_bodies.parse(body, now=now, allow_loopback=True)
    if not cluster.down:
        client = Client(access_of(connected, allow_loopback=True))
        try:
            install(client)
        finally:
            client.close()
    if key.name == "demo":
        _prepare_aws(sandbox)
    connections.put(database, owner, key, connected, now=now)
