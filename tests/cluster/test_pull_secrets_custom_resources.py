"""ECRPullSecret of `pullpass.dev/v1` on a real API server: its rules, each identity, its status, and its end."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from aws import sessions
from aws.credentials import AwsEndpoints
from aws.identities import AccessKeys, RoleLink
from kube.objects import SECRET, Object
from tests.cluster.conftest import ACCOUNT, REGION, REGISTRY, ROLE, Stage, eventually, trusting
from tests.cluster.pull_secrets import auths, events, opens, references, refused, where

API = "pullpass.dev/v1"
KIND = "ECRPullSecret"
USER = f"arn:aws:iam::{ACCOUNT}:user/old-tool"
TARGET = f"arn:aws:iam::{ACCOUNT}:role/target"
INSTANCE = f"arn:aws:iam::{ACCOUNT}:role/node"
NOBODY = f"arn:aws:iam::{ACCOUNT}:role/nobody"
MINUTES = 150.0  # what IAM may not have heard of yet is told only when it stays so
WEB = {"webIdentity": {"roleArn": ROLE}}


@pytest.fixture(scope="module", autouse=True)
def ready(stage: Stage) -> None:
    """The add-on itself fills nothing: all that is filled comes from custom resources."""
    for name in ("shop", "bank", "keys"):
        stage.make_namespace(name)
    stage.begin(pullSecret={"excludeNamespaces": ["*"], "customResources": True})
    eventually(
        lambda: stage.kubectl.find(
            "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "pullpass-agent-custom-resources"
        ),
        what="the role is bound",
        explain=stage.logs,
    )
    apply(stage, "refused", identity=WEB | {"assumeRoles": [{"roleArn": NOBODY}]})
    apply(stage, "public", registries=["public.ecr.aws"])
    apply(stage, "untrusted", identity={"webIdentity": {"roleArn": NOBODY}})
    stage.world.aws.create_user(USER)
    keys = keys_secret(stage, USER, name="wrong-keys")
    keys["stringData"]["AWS_SECRET_ACCESS_KEY"] = "wrong"
    stage.kubectl.apply(keys)
    apply(stage, "wrong", identity={"secretKeys": {"namespace": "keys", "name": "wrong-keys"}})


def resource(name: str, **spec: Any) -> Object:
    defaults = {"secretName": name, "registries": [REGISTRY], "namespaces": ["shop", "bank"], "identity": WEB}
    wanted = {key: value for key, value in (defaults | spec).items() if value is not None}
    return {"apiVersion": API, "kind": KIND, "metadata": {"name": name}, "spec": wanted}


def conditions(stage: Stage, name: str) -> dict[str, tuple[str, str]]:
    found = stage.kubectl.get(API, KIND, name)
    if found.get("status", {}).get("observedGeneration") != found["metadata"]["generation"]:
        return {}
    return {one["type"]: (one["status"], one["reason"]) for one in found["status"].get("conditions", [])}


def wait_for(stage: Stage, name: str, condition: str, status: str) -> None:
    eventually(
        lambda: conditions(stage, name).get(condition, ("", ""))[0] == status,
        what=f"{name}: {condition} {status}",
        explain=lambda: f"{stage.kubectl.get(API, KIND, name)}\n{stage.logs()}",
    )


def wait_for_code(stage: Stage, name: str, code: str) -> None:
    eventually(
        lambda: code in str(stage.kubectl.get(API, KIND, name).get("status")),
        what=f"{name} says {code}",
        patience=MINUTES,
        explain=lambda: f"{stage.kubectl.get(API, KIND, name)}\n{stage.logs()}",
    )


def apply(stage: Stage, name: str, **spec: Any) -> None:
    stage.kubectl.apply(resource(name, **spec))


def delete(stage: Stage, name: str) -> None:
    stage.kubectl.delete(API, KIND, name)
    eventually(
        lambda: stage.kubectl.find(API, KIND, name) is None, what=f"{name} is gone", explain=stage.logs
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"registries": None}, "give either registries, or accountId together with region"),
        ({"identity": {}}, "give exactly one of webIdentity, secretKeys and instanceMetadata"),
        ({"identity": {"webIdentity": {"roleArn": "admin"}}}, "must be the ARN of an IAM role"),
    ],
)
def test_a_mistake_is_refused_in_words_that_help(stage: Stage, spec: dict[str, Any], expected: str) -> None:
    assert expected in refused(lambda: stage.kubectl.create(resource("wrong", **spec)))


def test_with_a_web_identity_its_namespaces_are_filled(stage: Stage) -> None:
    apply(stage, "web")
    wait_for(stage, "web", "Ready", "True")
    assert {"shop", "bank"} == where(stage, "web")
    issued = opens(stage, "shop", "web", REGISTRY)
    assert issued is not None
    assert ROLE == issued.role_arn


def test_account_and_region_name_a_registry_too(stage: Stage) -> None:
    apply(stage, "regional", registries=None, accountId=ACCOUNT, region="us-west-2", serviceAccounts=[])
    wait_for(stage, "regional", "Ready", "True")
    assert opens(stage, "shop", "regional", f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com")


def test_kubectl_get_shows_how_it_fares(stage: Stage) -> None:
    shown = stage.kubectl.table(API, KIND)
    row = shown["Name"].index("web")
    assert ("web", "2/2", "True") == tuple(shown[column][row] for column in ("Secret", "Namespaces", "Ready"))
    assert ROLE in str(shown["Identity"][row])


def test_status_tells_refresh_and_expiry(stage: Stage) -> None:
    status = stage.kubectl.get(API, KIND, "web")["status"]
    assert status["lastRefreshTime"] < status["expirationTime"]


def test_service_accounts_are_those_that_it_names(stage: Stage) -> None:
    eventually(lambda: references(stage, "shop") == ["web"], what="all of them", explain=stage.logs)
    apply(stage, "web", serviceAccounts=[])
    eventually(lambda: references(stage, "shop") == [], what="none", explain=stage.logs)


def test_equal_identities_share_their_credential(stage: Stage) -> None:
    apply(stage, "again")
    wait_for(stage, "again", "Ready", "True")
    secrets = [stage.client.get(SECRET, name, namespace="shop") for name in ("web", "again")]
    assert auths(secrets[0]) == auths(secrets[1])


def test_two_that_claim_one_secret_clash_and_say_so(stage: Stage) -> None:
    apply(stage, "clash", secretName="web")
    eventually(
        lambda: (
            "PullSecretClash" in str(stage.kubectl.get(API, KIND, "web").get("status"))
            or "PullSecretClash" in str(stage.kubectl.get(API, KIND, "clash").get("status"))
        ),
        what="one of them says PullSecretClash",
        explain=stage.logs,
    )
    delete(stage, "clash")
    wait_for(stage, "web", "Ready", "True")


def test_suspended_it_changes_nothing_and_resumed_it_goes_on(stage: Stage) -> None:
    apply(stage, "again", suspend=True)
    wait_for(stage, "again", "Suspended", "True")
    stage.client.delete(SECRET, "again", namespace="shop")
    apply(stage, "again", suspend=True, namespaces=["shop"])
    wait_for(stage, "again", "Suspended", "True")
    assert {"bank"} == where(stage, "again")
    apply(stage, "again", suspend=False, namespaces=["shop"])
    eventually(lambda: where(stage, "again") == {"shop"}, what="it went on", explain=stage.logs)


def test_the_finalizer_cleans_up(stage: Stage) -> None:
    apply(stage, "again", serviceAccounts=["default"], namespaces=["shop"])
    eventually(lambda: references(stage, "shop") == ["again"], what="the reference", explain=stage.logs)
    assert stage.kubectl.get(API, KIND, "again")["metadata"]["finalizers"]
    delete(stage, "again")
    assert set() == where(stage, "again")
    assert [] == references(stage, "shop")


def keys_secret(stage: Stage, user: str, *, name: str = "aws-keys", **names: str) -> Object:
    """A key pair of an IAM user, as the older tools keep it; `names` are its keys in the secret."""
    pair = stage.world.aws.create_access_key(user)
    data = {
        names.get("accessKeyIdKey", "AWS_ACCESS_KEY_ID"): pair.access_key_id,
        names.get("secretAccessKeyKey", "AWS_SECRET_ACCESS_KEY"): pair.secret_access_key,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "keys"},
        "stringData": data,
    }


def test_keys_that_are_not_there_are_missed(stage: Stage) -> None:
    apply(stage, "static", identity={"secretKeys": {"namespace": "keys", "name": "aws-keys"}})
    wait_for_code(stage, "static", "KeysMissing")


def test_keys_in_a_secret_of_any_namespace_are_used_at_once(stage: Stage) -> None:
    stage.kubectl.apply(keys_secret(stage, USER))
    wait_for(stage, "static", "Ready", "True")
    assert opens(stage, "shop", "static", REGISTRY)


def test_the_key_names_are_the_users(stage: Stage) -> None:
    names = {"accessKeyIdKey": "id", "secretAccessKeyKey": "key"}
    stage.client.delete(SECRET, "aws-keys", namespace="keys")
    stage.kubectl.apply(keys_secret(stage, USER, **names))
    apply(stage, "static", identity={"secretKeys": {"namespace": "keys", "name": "aws-keys", **names}})
    wait_for(stage, "static", "Ready", "True")


def test_no_key_is_kept_or_logged(stage: Stage) -> None:
    """Neither as it is nor in base64, by the agents or by the hub."""
    encoded = stage.kubectl.get("v1", "Secret", "aws-keys", namespace="keys")["data"]["key"]
    plain = base64.b64decode(encoded).decode()
    data = stage.kubectl.get("v1", "Secret", "pullpass-credentials", namespace="pullpass-system")["data"]
    log = stage.kubelet.log.read_text()
    places = {
        "what is stored": "".join(base64.b64decode(value).decode() for value in data.values()),
        "the pull secret": str(auths(stage.client.get(SECRET, "static", namespace="shop"))),
        "the resource": str(stage.kubectl.get(API, KIND, "static")),
        "events": str(stage.kubectl.get("v1", "Event")),
        "the report": str(
            stage.kubectl.get("v1", "ConfigMap", "pullpass-status", namespace="pullpass-system")
        ),
        "the hub": str(stage.show()),
        "the agents' log": log,
        "the controller's log": (stage.directory / "controller.log").read_text(),
    }
    assert [] == [place for place, text in places.items() if plain in text or encoded in text]
    assert "SECRET_ACCESS" not in log.upper().replace("AWS_SECRET_ACCESS_KEY", "")
    # One of the older tools logged the beginning of it, which names the key to whoever reads logs.
    key_id = base64.b64decode(
        stage.kubectl.get("v1", "Secret", "aws-keys", namespace="keys")["data"]["id"]
    ).decode()
    assert [] == [place for place, text in places.items() if key_id[:10] in text]


def target(stage: Stage, principal: str, external_id: str) -> None:
    """A role that may be assumed from one other, under an external id."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }
    stage.world.create_role(TARGET, {"Version": "2012-10-17", "Statement": [statement]})


def serves_as(stage: Stage, name: str, principal: str) -> None:
    """A custom resource whose secret AWS gave to this principal."""

    def look() -> bool:
        issued = opens(stage, "shop", name, REGISTRY)
        return issued is not None and issued.role_arn == principal

    wait_for(stage, name, "Ready", "True")
    eventually(look, what=f"{name} is {principal}", explain=stage.logs)


def test_a_role_on_top_of_a_web_identity(stage: Stage) -> None:
    target(stage, ROLE, "web")
    trusting(stage.world, allow=["ecr:*", "sts:AssumeRole"])
    apply(stage, "chain", identity=WEB | {"assumeRoles": [{"roleArn": TARGET, "externalId": "web"}]})
    serves_as(stage, "chain", TARGET)


def test_a_role_on_top_of_keys(stage: Stage) -> None:
    target(stage, USER, "keys")
    names = {"accessKeyIdKey": "id", "secretAccessKeyKey": "key"}
    keys = {"secretKeys": {"namespace": "keys", "name": "aws-keys", **names}}
    apply(stage, "keys-chain", identity=keys | {"assumeRoles": [{"roleArn": TARGET, "externalId": "keys"}]})
    serves_as(stage, "keys-chain", TARGET)


def test_keys_of_a_session_bring_their_token(stage: Stage) -> None:
    """Such as `aws sts assume-role` or a single sign-on prints; AWS takes none of the three without the others."""
    issued = stage.world.aws.create_access_key(USER)
    session = sessions.session(
        AccessKeys(issued.access_key_id, issued.secret_access_key),
        (RoleLink(TARGET, "keys"),),
        session_name="somebody",
        region=REGION,
        endpoints=AwsEndpoints(sts=stage.world.aws_endpoints["sts"]),
    )
    data = {
        "AWS_ACCESS_KEY_ID": session.access_key_id,
        "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
        "AWS_SESSION_TOKEN": session.session_token,
    }
    stage.kubectl.apply(keys_secret(stage, USER, name="session-keys") | {"stringData": data})
    apply(stage, "session", identity={"secretKeys": {"namespace": "keys", "name": "session-keys"}})
    serves_as(stage, "session", TARGET)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("refused", "AssumeRoleRefused"),
        ("public", "PublicRefused"),
        ("untrusted", "TrustPolicyMismatch"),
        ("wrong", "KeysRefused"),
    ],
)
def test_what_aws_refuses_for_longer_than_it_takes_to_hear_of_a_change_is_named(
    stage: Stage, name: str, code: str
) -> None:
    wait_for_code(stage, name, code)
    delete(stage, name)


@pytest.mark.parametrize(
    ("operation", "aws_code", "code", "times"),
    [  # some are tried three times at once
        ("AssumeRoleWithWebIdentity", "IDPCommunicationError", "IdentityProviderUnreachable", 7),
        ("AssumeRoleWithWebIdentity", "ServiceUnavailable", "StsUnreachable", 2),
        ("AssumeRoleWithWebIdentity", "IDPRejectedClaim", "ClaimRejected", 2),
        ("GetAuthorizationToken", "ServerException", "EcrUnreachable", 2),
        ("GetAuthorizationToken", "ThrottlingException", "EcrRefused", 7),
    ],
)
def test_each_failure_of_aws_is_named_and_got_over(
    stage: Stage, operation: str, aws_code: str, code: str, times: int
) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/{aws_code.lower()}"
    trusting(stage.world, role)
    stage.world.aws.fail_next(operation, aws_code, "made up", times=times)
    apply(stage, "faulty", identity={"webIdentity": {"roleArn": role}})
    wait_for_code(stage, "faulty", code)
    wait_for(stage, "faulty", "Ready", "True")
    delete(stage, "faulty")


def test_the_instances_own_role(stage: Stage) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "ec2.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    stage.world.create_role(INSTANCE, {"Version": "2012-10-17", "Statement": [statement]})
    apply(stage, "instance", identity={"instanceMetadata": {}})
    wait_for_code(stage, "instance", "MetadataUnavailable")
    stage.world.aws.set_instance_role(INSTANCE)
    wait_for(stage, "instance", "Ready", "True")
    serves_as(stage, "instance", INSTANCE)


def test_a_role_on_top_of_the_instances_own(stage: Stage) -> None:
    target(stage, INSTANCE, "instance")
    apply(
        stage,
        "instance-chain",
        identity={"instanceMetadata": {}, "assumeRoles": [{"roleArn": TARGET, "externalId": "instance"}]},
    )
    serves_as(stage, "instance-chain", TARGET)


def test_events_stand_on_the_object(stage: Stage) -> None:
    eventually(lambda: events(stage, "default", "static"), what="an event", explain=stage.logs)


def test_the_hub_counts_them(stage: Stage) -> None:
    eventually(
        lambda: "customResources" in str(stage.show()["status"]["addOns"]["awsECR"]),
        what="the hub's status tells of custom resources",
        explain=lambda: stage.show()["status"]["addOns"]["awsECR"],
    )


def test_turned_off_none_is_left_hanging(stage: Stage) -> None:
    """Its objects stay the users'; their finalizers and all that was filled for them go."""
    stage.wish(pullSecret={"excludeNamespaces": ["*"]})
    eventually(lambda: where(stage, "web") == set(), what="their secrets go", explain=stage.logs)
    eventually(
        lambda: not stage.kubectl.get(API, KIND, "web")["metadata"].get("finalizers"),
        what="their finalizers go",
        explain=stage.logs,
    )
