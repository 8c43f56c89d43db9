"""Deployments that run: processes with their environment and volumes, and pulls of private images."""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from sandbox.kubernetes.cluster import Cluster, ClusterSettings, controller_request
from sandbox.kubernetes.kinds import POD, Target
from sandbox.processes import ContainerProcess, Surroundings
from sandbox.world import World

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Caller

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
ROLE = "arn:aws:iam::123456789012:role/pull"
DEADLINE_SECONDS = 15.0


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A world in memory that runs what is deployed."""
    world = World()
    world.start()
    yield world
    world.stop()


def deployment(name: str, container: dict[str, Any], **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": "c", "image": "app"} | container]} | spec
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


def script(text: str) -> dict[str, Any]:
    return {"command": ["python", "-c", text]}


def deploy(admin: Caller, body: dict[str, Any]) -> None:
    code, _ = admin.call("POST", "/apis/apps/v1/namespaces/default/deployments", body)
    assert 201 == code


def pods(admin: Caller, name: str) -> list[dict[str, Any]]:
    found = admin.call("GET", f"/api/v1/namespaces/default/pods?labelSelector=app%3D{name}")[1]
    items: list[dict[str, Any]] = found["items"]
    return items


def until(condition: Callable[[], Any]) -> Any:
    """What `condition` says, once it is true."""
    end, pause = time.monotonic() + DEADLINE_SECONDS, threading.Event()
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        pause.wait(0.02)
    return value


def state_of(admin: Caller, name: str) -> dict[str, Any]:
    """The state of the first container of a deployment's only pod."""
    found = [pod for pod in pods(admin, name) if pod["status"].get("containerStatuses")]
    return found[0]["status"]["containerStatuses"][0]["state"] if found else {}


def test_a_deployment_runs_its_command(admin: Caller, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    deploy(
        admin, deployment("runs", script(f"import time; open({str(proof)!r}, 'w').close(); time.sleep(600)"))
    )

    until(proof.exists)
    status = until(lambda: available(admin, "runs"))

    assert (1, 1) == (status["readyReplicas"], status["observedGeneration"])


def test_a_condition_keeps_the_time_of_its_last_transition(admin: Caller) -> None:
    deploy(admin, deployment("steady", script("import time; time.sleep(600)")))
    before = until(lambda: available(admin, "steady"))["conditions"]

    path = "/apis/apps/v1/namespaces/default/deployments/steady"
    admin.call(
        "PATCH", path, {"metadata": {"labels": {"a": "b"}}}, content_type="application/merge-patch+json"
    )
    after = until(lambda: available(admin, "steady"))["conditions"]

    assert ["lastTransitionTime" in before[0], before] == [True, after]


def available(admin: Caller, name: str) -> Any:
    status = admin.call("GET", f"/apis/apps/v1/namespaces/default/deployments/{name}")[1].get("status", {})
    return status if status.get("availableReplicas") else None


def test_a_process_that_ends_is_started_again(admin: Caller) -> None:
    deploy(admin, deployment("ends", script("")))

    until(lambda: any(one["restartCount"] for pod in pods(admin, "ends") for one in statuses(pod)))


def statuses(pod: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pod["status"].get("containerStatuses", [])
    return found


def test_a_deleted_deployment_takes_its_process_along(admin: Caller, tmp_path: Path) -> None:
    started, ended = tmp_path / "started", tmp_path / "ended"
    text = (
        "import signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(open({str(ended)!r}, 'w').close()))\n"
        f"open({str(started)!r}, 'w').close(); time.sleep(600)"
    )
    deploy(admin, deployment("goes", script(text)))
    until(started.exists)

    admin.call("DELETE", "/apis/apps/v1/namespaces/default/deployments/goes")

    until(lambda: ended.exists() and not pods(admin, "goes"))


def test_a_new_template_replaces_the_pod(admin: Caller) -> None:
    deploy(admin, deployment("rolls", script("import time; time.sleep(600)")))
    before = until(lambda: pods(admin, "rolls"))[0]["metadata"]["uid"]
    changed = deployment("rolls", script("import time; time.sleep(601)"))

    admin.call(
        "PATCH",
        "/apis/apps/v1/namespaces/default/deployments/rolls",
        {"spec": changed["spec"]},
        content_type="application/merge-patch+json",
    )

    until(lambda: [pod for pod in pods(admin, "rolls") if pod["metadata"]["uid"] != before])


def test_a_private_image_without_a_secret_waits_with_the_registrys_words(admin: Caller) -> None:
    deploy(admin, deployment("denied", {"image": f"{HOST}/team/app:1"}))

    state = until(lambda: state_of(admin, "denied").get("waiting"))

    assert state["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert "401" in state["message"]


def test_a_private_image_is_pulled_with_the_secret_of_the_pods_account(admin: Caller, world: World) -> None:
    world.add_image(f"{HOST}/team/app:1")
    put_pull_secret(admin, ecr_password(world, admin))
    account = {"metadata": {"name": "puller"}, "imagePullSecrets": [{"name": "pullpass-ecr"}]}
    admin.call("POST", "/api/v1/namespaces/default/serviceaccounts", account)

    deploy(admin, deployment("pulled", {"image": f"{HOST}/team/app:1"}, serviceAccountName="puller"))

    until(lambda: "running" in state_of(admin, "pulled"))


def put_pull_secret(admin: Caller, password: str) -> None:
    config = {"auths": {HOST: {"username": "AWS", "password": password}}}
    encoded = base64.b64encode(json.dumps(config).encode()).decode()
    secret = {
        "metadata": {"name": "pullpass-ecr"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": encoded},
    }
    code, _ = admin.call("POST", "/api/v1/namespaces/default/secrets", secret)
    assert 201 == code


def ecr_password(world: World, admin: Caller) -> str:
    """Walks from a token of the cluster to a password, as the agent does, over HTTP."""
    issuer = admin.cluster.issuer
    world.create_oidc_provider("123456789012", issuer, ["sts.amazonaws.com"])
    principal = {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{issuer.removeprefix('https://')}"}
    statement = {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": principal}
    world.create_role(ROLE, {"Version": "2012-10-17", "Statement": [statement]})
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    _, issued = admin.call("POST", path, {"spec": {"audiences": ["sts.amazonaws.com"]}})
    import boto3  # noqa: PLC0415 - slow to import, and for this test alone
    from botocore import UNSIGNED  # noqa: PLC0415 - the same
    from botocore.config import Config  # noqa: PLC0415 - the same

    endpoints = world.aws_endpoints
    sts = boto3.client(
        "sts",
        region_name="eu-west-1",
        endpoint_url=endpoints["sts"],
        config=Config(signature_version=UNSIGNED),
    )
    assumed = sts.assume_role_with_web_identity(
        RoleArn=ROLE, RoleSessionName="test", WebIdentityToken=issued["status"]["token"]
    )["Credentials"]
    ecr = boto3.client(
        "ecr",
        region_name="eu-west-1",
        endpoint_url=endpoints["ecr"],
        aws_access_key_id=assumed["AccessKeyId"],
        aws_secret_access_key=assumed["SecretAccessKey"],
        aws_session_token=assumed["SessionToken"],
    )
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    sts.close()
    ecr.close()
    return base64.b64decode(token).decode().partition(":")[2]


class Bench:
    """A cluster without servers, and one pod's process on it."""

    def __init__(self, folder: Path, signing_key: str) -> None:
        settings = ClusterSettings(("https://oidc.example.com/a",), "admin", signing_key)
        self.cluster = Cluster(settings, "CA")
        self.cluster.bootstrap()
        self.folder = folder

    def process(self, container: dict[str, Any], **spec: Any) -> ContainerProcess:
        body = {
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "app"} | container]} | spec,
        }
        pod = self.cluster.writer.create(Target(POD, "default", ""), body, controller_request("test")).object
        log = self.folder / "log"
        return ContainerProcess(
            pod, Surroundings(self.cluster, "https://127.0.0.1:1/clusters/a", self.folder / "pod", log)
        )


@pytest.fixture
def bench(tmp_path: Path, signing_key: str) -> Bench:
    return Bench(tmp_path, signing_key)


TOKEN_VOLUME = {
    "name": "tokens",
    "projected": {
        "sources": [
            {
                "serviceAccountToken": {
                    "path": "aws",
                    "audience": "sts.amazonaws.com",
                    "expirationSeconds": 3600,
                }
            },
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
                }
            },
        ]
    },
}
MOUNT = {"name": "tokens", "mountPath": "/var/run/tokens"}


def output(bench: Bench, container: dict[str, Any], **spec: Any) -> str:
    """What a container prints before it ends."""
    process = bench.process(container, **spec)
    process.tend(datetime.now(UTC))
    until(lambda: not process.is_running)
    said = (bench.folder / "log").read_text()
    process.stop()
    return said


def test_environment_comes_from_the_spec_and_the_cluster(bench: Bench) -> None:
    names = ["POD", "PLAIN", "KUBERNETES_SERVICE_HOST", "PULLPASS_KUBERNETES_SERVER", "PULLPASS_HEALTH_PORT"]
    environment = [
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "PLAIN", "value": "1"},
        {"name": "PULLPASS_HEALTH_PORT", "value": "8080"},
    ]

    said = output(bench, script(f"import os; print([os.environ[n] for n in {names}])") | {"env": environment})

    assert "['p', '1', '127.0.0.1', 'https://127.0.0.1:1/clusters/a', '0']\n" == said


def test_volumes_are_folders_and_paths_into_them_are_rewritten(bench: Bench) -> None:
    text = "import os; print(sorted(os.listdir(os.environ['DIR'])), open(os.environ['DIR'] + '/namespace').read())"
    container = script(text) | {"env": [{"name": "DIR", "value": "/var/run/tokens"}], "volumeMounts": [MOUNT]}

    assert "['aws', 'ca.crt', 'namespace'] default\n" == output(bench, container, volumes=[TOKEN_VOLUME])


def test_the_interpreter_is_found_even_where_a_mount_has_its_folders_name(bench: Bench) -> None:
    folder = str(Path(sys.executable).parent)
    scratch = {"name": "scratch", "emptyDir": {}}
    container = script("print('started')") | {"volumeMounts": [{"name": "scratch", "mountPath": folder}]}

    assert "started\n" == output(bench, container, volumes=[scratch])


def test_a_projected_token_is_for_its_audience_and_bound_to_the_pod(bench: Bench) -> None:
    container = script("print(open(__import__('sys').argv[1]).read())")
    container["args"] = ["/var/run/tokens/aws"]

    said = output(bench, container | {"volumeMounts": [MOUNT]}, volumes=[TOKEN_VOLUME])

    claims = jwt.decode(said.strip(), options={"verify_signature": False})
    assert (["sts.amazonaws.com"], "p") == (claims["aud"], claims["kubernetes.io"]["pod"]["name"])


def test_a_projected_token_is_replaced_at_four_fifths_of_its_life(bench: Bench) -> None:
    process = bench.process(
        script("import time; time.sleep(600)") | {"volumeMounts": [MOUNT]}, volumes=[TOKEN_VOLUME]
    )
    start = datetime.now(UTC)
    path = bench.folder / "pod" / "tokens" / "aws"
    tokens = []
    for seconds in (0, 2879, 2881):
        process.tend(datetime.fromtimestamp(start.timestamp() + seconds, UTC))
        tokens.append(path.read_text())
    process.stop()

    assert [True, False] == [tokens[0] == tokens[1], tokens[1] == tokens[2]]


def test_the_environment_of_the_sandbox_itself_is_not_passed_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")

    assert "False\n" == output(bench, script("import os; print('AWS_SECRET_ACCESS_KEY' in os.environ)"))
