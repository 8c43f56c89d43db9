"""The sandbox's EKS, driven by boto3 as `aws eks` drives the real one, and its clusters entered by presigned tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.signers import RequestSigner

from sandbox.world import World

ACCOUNT, REGION = "210987654321", "eu-central-1"
ISSUER = "https://oidc.eks.eu-central-1.amazonaws.com/id/ABC"
USER = f"arn:aws:iam::{ACCOUNT}:user/teams/alice"
READER = {
    "metadata": {"name": "viewers"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "viewers"}],
}


@pytest.fixture
def world(signing_key: str) -> Iterator[World]:
    started = World(run_workloads=False)
    started.start()
    started.add_cluster("prod", issuer=ISSUER, public=False, signing_key=signing_key)
    started.join_eks("prod", account=ACCOUNT, region=REGION)
    started.aws.create_user(USER, allow=["eks:DescribeCluster", "eks:CreateAccessEntry"])
    yield started
    started.stop()


@pytest.fixture
def session(world: World) -> boto3.session.Session:
    key = world.aws.create_access_key(USER)
    return boto3.session.Session(key.access_key_id, key.secret_access_key, region_name=REGION)


@pytest.fixture
def eks(world: World, session: boto3.session.Session) -> Iterator[Any]:
    config = Config(retries={"total_max_attempts": 1})
    client = session.client("eks", endpoint_url=world.aws_endpoints["eks"], config=config)
    yield client
    client.close()


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def token(session: boto3.session.Session, cluster: str = "prod") -> str:
    """As `aws eks get-token` makes it."""
    client = session.client("sts")
    credentials = session.get_credentials()
    assert credentials is not None
    signer = RequestSigner(
        client.meta.service_model.service_id, REGION, "sts", "v4", credentials, session.events
    )
    url = signer.generate_presigned_url(
        {
            "method": "GET",
            "url": f"https://sts.{REGION}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
            "body": {},
            "headers": {"x-k8s-aws-id": cluster},
            "context": {},
        },
        region_name=REGION,
        expires_in=60,
        operation_name="",
    )
    client.close()
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def get(world: World, bearer: str, path: str = "/api/v1/namespaces") -> tuple[int, Any]:
    cluster = world.clusters["prod"]
    pool = urllib3.PoolManager(ca_cert_data=cluster.certificate_authority)
    answer = pool.request("GET", f"{cluster.url}{path}", headers={"Authorization": f"Bearer {bearer}"})
    pool.clear()
    return answer.status, json.loads(answer.data)


def test_a_cluster_is_described_as_it_is(world: World, eks: Any) -> None:
    found = eks.describe_cluster(name="prod")["cluster"]
    cluster = world.clusters["prod"]
    assert (found["endpoint"], found["identity"]["oidc"]["issuer"]) == (cluster.url, ISSUER)
    assert base64.b64decode(found["certificateAuthority"]["data"]).decode() == cluster.certificate_authority
    assert found["arn"] == f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/prod"


def test_another_name_account_or_region_has_none(
    world: World, session: boto3.session.Session, eks: Any
) -> None:
    missing = ("ResourceNotFoundException", "No cluster found for name: other.")
    assert missing == refusal(eks.describe_cluster, name="other")
    elsewhere = session.client("eks", region_name="us-east-1", endpoint_url=world.aws_endpoints["eks"])
    assert refusal(elsewhere.describe_cluster, name="prod")[0] == "ResourceNotFoundException"
    elsewhere.close()


def test_who_may_not_is_told_what(world: World, eks: Any) -> None:
    world.aws.create_user(USER, allow=[])
    arn = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/prod"
    words = f"User: {USER} is not authorized to perform: eks:DescribeCluster on resource: {arn}"
    assert ("AccessDeniedException", words) == refusal(eks.describe_cluster, name="prod")


def test_a_signature_with_another_secret_is_refused(world: World, session: boto3.session.Session) -> None:
    credentials = session.get_credentials()
    assert credentials is not None
    forged = boto3.session.Session(credentials.access_key, "guessed", region_name=REGION)
    client = forged.client("eks", endpoint_url=world.aws_endpoints["eks"])
    assert refusal(client.describe_cluster, name="prod")[0] == "InvalidSignatureException"
    client.close()


def test_an_access_entry_lets_its_principal_in_with_its_groups(
    world: World, session: boto3.session.Session, eks: Any
) -> None:
    bearer = token(session)
    assert get(world, bearer)[0] == 401
    eks.create_access_entry(clusterName="prod", principalArn=USER, kubernetesGroups=["viewers"])
    status, refused = get(world, bearer)
    assert (status, USER in refused["message"]) == (403, True)

    headers = {"Authorization": f"Bearer {world.clusters['prod'].admin_token}"}
    pool = urllib3.PoolManager(ca_cert_data=world.clusters["prod"].certificate_authority)
    path = f"{world.clusters['prod'].url}/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    assert pool.request("POST", path, headers=headers, json=READER).status == 201
    pool.clear()
    assert get(world, bearer)[0] == 200


def test_a_token_for_another_cluster_is_nobodys(
    world: World, session: boto3.session.Session, eks: Any
) -> None:
    eks.create_access_entry(clusterName="prod", principalArn=USER, kubernetesGroups=["viewers"])
    assert get(world, token(session, "other"))[0] == 401


def test_a_cluster_that_is_none_of_eks_takes_no_such_token(
    world: World, session: boto3.session.Session, signing_key: str
) -> None:
    plain = world.add_cluster(
        "plain", issuer="https://plain.example.com", public=False, signing_key=signing_key
    )
    assert plain.cluster.token_webhook(token(session)) is None


@pytest.mark.parametrize(
    ("principal", "groups", "code"),
    [
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/r/session", ["viewers"], "InvalidParameterException"),
        ("alice", ["viewers"], "InvalidParameterException"),
        (USER, ["system:masters"], "InvalidParameterException"),
        (USER, ["eks:admins"], "InvalidParameterException"),
    ],
)
def test_an_access_entry_that_eks_would_refuse_is_refused(
    eks: Any, principal: str, groups: list[str], code: str
) -> None:
    found = refusal(
        eks.create_access_entry, clusterName="prod", principalArn=principal, kubernetesGroups=groups
    )
    assert code == found[0]


def test_a_principal_has_one_access_entry(eks: Any) -> None:
    arguments: dict[str, Any] = {"clusterName": "prod", "principalArn": USER, "kubernetesGroups": ["viewers"]}
    eks.create_access_entry(**arguments)
    assert refusal(eks.create_access_entry, **arguments)[0] == "ResourceInUseException"


def test_access_entries_are_kept_over_a_restart(tmp_path: Path) -> None:
    first = World(state_directory=tmp_path, run_workloads=False)
    first.start()
    first.add_cluster("prod", issuer=ISSUER, public=False)
    first.join_eks("prod", account=ACCOUNT, region=REGION)
    first.aws.create_user(USER)
    key = first.aws.create_access_key(USER)
    first.aws.create_access_entry(ACCOUNT, REGION, "prod", USER, ["viewers"])
    first.stop()

    second = World(state_directory=tmp_path, run_workloads=False)
    second.start()
    second.add_cluster("prod", issuer=ISSUER, public=False)
    second.join_eks("prod", account=ACCOUNT, region=REGION)
    session = boto3.session.Session(key.access_key_id, key.secret_access_key, region_name=REGION)
    bearer = token(session)
    user = second.clusters["prod"].cluster.token_webhook(bearer)
    second.stop()
    assert user is not None
    assert (user.name, user.groups) == (USER, ("viewers", "system:authenticated"))


def test_there_is_no_entry_without_a_cluster(world: World) -> None:
    with pytest.raises(ValueError, match="no cluster"):
        world.aws.create_access_entry(ACCOUNT, REGION, "other", USER, ["viewers"])
