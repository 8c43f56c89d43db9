"""Plans of every kind that is printed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aws.arns import parse_role
from aws.setup.members import Choices, Member, wanted_for
from aws.setup.wanted import PermissionsKind, TrustedCluster, Wanted
from aws.trust_policy import ACCOUNT_PLACEHOLDER, TrustedWorkload

ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"
ABROAD = "210987654321.dkr.ecr.us-east-1.amazonaws.com"
CHINA = f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn"
_SUBJECTS = tuple(f"system:serviceaccount:pullpass-system:pullpass-{name}" for name in ("agent", "node"))


def cluster(name: str, audience: str = "sts.amazonaws.com", issuer: str = "") -> Member:
    workload = TrustedWorkload(issuer or f"https://oidc.acme.com/{name}", audience, _SUBJECTS)
    return Member(TrustedCluster(f"uid-{name}", name, workload))


def wish(*members: Member, partition: str = "aws", known: bool = True, **choices: Any) -> Wanted:
    role = parse_role(f"arn:{partition}:iam::{ACCOUNT}:role/teams/pull")
    if not known:
        role = replace(role, account=ACCOUNT_PLACEHOLDER)
    return wanted_for(role, "acme", members or (cluster("demo"),), Choices(**choices))


PLANS: dict[str, Wanted] = {
    "one cluster": wish(registries=(REGISTRY,)),
    "two clusters": wish(cluster("demo"), cluster("edge"), registries=(REGISTRY,)),
    "two audiences of one issuer": wish(
        cluster("demo"), cluster("edge", "other", "https://oidc.acme.com/demo"), registries=(REGISTRY,)
    ),
    "the managed policy": wish(kind=PermissionsKind.PULL_ONLY),
    "narrowed and widened": wish(
        registries=(REGISTRY, ABROAD), repositories=("shop/*", "web"), pull_through=("hub",), public=True
    ),
    "China": wish(cluster("demo", "sts.amazonaws.com.cn"), partition="aws-cn", registries=(CHINA,)),
    "nothing known of the account": wish(known=False),
    "longer sessions": replace(wish(registries=(REGISTRY,)), max_session_seconds=7200),
}
