"""One cluster on Hetzner, a hub, an agent and an AWS account that begins empty, all in this process.

The cluster, AWS and the registry are the sandbox's; API, engine, agent and command line are the real ones. Only their
patience is shorter than in production, so that twelve things can break and be mended in a minute.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import structlog
import yaml
from click.testing import CliRunner, Result
from flask import Flask
from kubernetes.config import kube_config
from werkzeug.serving import WSGIRequestHandler, make_server

from addon_api.app import ApiSettings, create_app
from agent.secrets import fetching, loop
from cli.hub import Hub
from cli.main import main
from controller import cluster as reconciling
from controller import pacing
from controller.engine import ControllerSettings, Engine
from fleet import tokens
from fleet.database import Database
from fleet.records import Role
from fleet.sealing import Sealer
from kube.client import Client
from kube.errors import KubeError
from reconcile.clock import SystemClock, SystemRandom
from reconcile.queue import Backoff
from sandbox.world import SandboxCluster, World
from tests.contract.controller.harness import admin_access
from tests.unit.agent.cell import Replica, eventually
from web.presentation import remedy_parts

ACCOUNT, OTHER = "123456789012", "210987654321"
REGION = "eu-central-1"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
IMAGE = f"{REGISTRY}/shop/web:1.0"
ISSUER = "https://oidc.example.org/edge"
PRIVATE_ISSUER = "https://kubernetes.default.svc.cluster.local"
PUBLIC_HOST = "pullpass.example.org"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pullpass"
POLICY = "pullpass-pull"
SYSTEM = "pullpass-system"
NAME = "edge"

MANIFEST = {
    "kind": "mk8s",
    "name": NAME,
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
        "addOns": {"awsWorkloadIdentity": {}, "awsECR": {}},
    },
    "settings": {"awsECR": {"registries": [REGISTRY], "verifyImage": IMAGE, "delivery": "pullSecret"}},
}


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - Werkzeug's name
        del type, message, args


class Scene:
    """What a person has in front of them: a command line, a cluster, an AWS account and their own web server."""

    def __init__(
        self,
        world: World,
        cluster: SandboxCluster,
        hub: Hub,
        *,
        token: str,
        folder: Path,
        site: dict[str, Any],
    ) -> None:
        self.world = world
        self.cluster = cluster
        self.hub = hub
        self.folder = folder
        self.site = site
        self.token = token
        self._touched = 0

    def publish(self, *, keys: bool = True) -> None:
        """Puts discovery and keys of the cluster on the person's web site; without `keys`, an empty set."""
        admin = Client(admin_access(self.cluster))
        try:
            discovery = dict(admin.read_path("/.well-known/openid-configuration"))
            jwks = dict(admin.read_path("/openid/v1/jwks"))
        finally:
            admin.close()
        self.site["edge/.well-known/openid-configuration"] = discovery | {
            "issuer": ISSUER,
            "jwks_uri": f"{ISSUER}/keys.json",
        }
        self.site["edge/keys.json"] = jwks if keys else {"keys": []}
        self.world.aws.forget_keys()

    def register(self) -> None:
        """By the command line: `clusters apply` and `connect`."""
        aws = self.world.aws_endpoints
        endpoints = {f"{name}Endpoint": aws[name] for name in ("ecr", "registry")}
        endpoints["stsEndpoint"] = f"{aws['sts']}/{REGION}"
        settings = self.folder / "settings.yaml"
        settings.write_text(yaml.safe_dump({"timeoutSeconds": 5, "aws": endpoints}))
        manifest = self.folder / "edge.yaml"
        manifest.write_text(yaml.safe_dump(MANIFEST))
        self.pullpass("clusters", "apply", "-f", str(manifest))
        self.pullpass("connect", NAME, "--settings", str(settings), "--yes")

    def sign_as(self, *issuers: str) -> None:
        """Other `--service-account-issuer` flags for the API server, and so other tokens for the agent."""
        self.cluster.set_issuers([*issuers])
        assert project_tokens(self.cluster, self.folder)

    def environment(self, account: str = ACCOUNT) -> dict[str, str]:
        """Of a shell with the hub's token and an administrator's AWS credentials."""
        aws = self.world.aws_endpoints
        return {
            "HOME": str(self.folder),
            "PULLPASS_ENDPOINT": self.hub.endpoint,
            "PULLPASS_TOKEN": self.token,
            "PULLPASS_ORG": "acme",
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ENDPOINT_URL_IAM": aws["iam"],
            "AWS_ENDPOINT_URL_STS": aws["sts"],
            "AWS_ENDPOINT_URL_SERVICE_QUOTAS": aws["iam"].replace("/iam", "/service-quotas"),
        }

    def pullpass(self, *arguments: str, account: str = ACCOUNT) -> Result:
        """A command that must succeed."""
        environment = self.environment(account)
        with pytest.MonkeyPatch.context() as patch:
            # The official client reads KUBECONFIG when it is imported, which an earlier test may have had it.
            patch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", environment["KUBECONFIG"])
            done = CliRunner().invoke(main, list(arguments), env=environment)
        assert 0 == done.exit_code, f"{done.output}{done.exception!r}"
        return done

    def set_up(self, *more: str, account: str = ACCOUNT) -> str:
        """`pullpass aws setup`; what it printed."""
        return self.pullpass("aws", "setup", NAME, "--yes", *more, account=account).stdout

    def follow(self, remedy: str, *, account: str = ACCOUNT) -> str:
        """Runs the command that a remedy ends with, as it is printed; what that printed."""
        program, *words = shlex.split(remedy_parts(remedy)["command"])
        assert "pullpass" == program
        return self.pullpass(*words, *(["--yes"] if words[0] == "aws" else []), account=account).stdout

    @property
    def iam(self) -> Any:
        """IAM as an administrator of the account calls it; close it."""
        return boto3.session.Session().client(
            "iam",
            region_name="us-east-1",
            endpoint_url=self.world.aws_endpoints["iam"],
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="any",
        )

    def provider_arn(self) -> str:
        issuer = self.show()["status"]["oidcProviderUrl"].removeprefix("https://")
        return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"

    def in_iam(self, change: Callable[[Any], object]) -> None:
        """Somebody changes something in IAM by hand."""
        client = self.iam
        try:
            change(client)
        finally:
            client.close()

    def show(self) -> Any:
        return self.hub.request("GET", self.hub.cluster(NAME))

    def patch(self, body: dict[str, Any]) -> None:
        self.hub.request("PATCH", self.hub.cluster(NAME), body)

    def look_again(self) -> None:
        """A change that means nothing to AWS: hub and agent go over everything at once instead of within the hour."""
        self._touched += 1
        self.patch({"spec": {"version": f"1.34.{4 + self._touched}"}})

    def issues(self) -> dict[str, str]:
        """Remedies by code, of every add-on and of the cluster."""
        status = self.show()["status"]
        found = list(status.get("issues", ()))
        for add_on in status["addOns"].values():
            found += add_on.get("issues", ())
        return {issue["code"]: issue["remedy"] for issue in found}

    def broken(self, code: str) -> str:
        """Waits until `code` is what is wrong, and nothing else; its remedy."""
        try:
            return eventually(lambda: self.issues().get(code) if {code} == set(self.issues()) else None)
        except AssertionError:
            raise AssertionError(f"never {code}: {self._told()}") from None

    def ready(self) -> None:
        """Waits until the add-on is Ready, on the word of this very change, with nothing to complain of."""
        try:
            eventually(self._is_ready)
        except AssertionError:
            raise AssertionError(f"never Ready: {self._told()}") from None

    def _is_ready(self) -> bool:
        found = self.show()
        status = found["status"]["addOns"].get("awsECR", {})
        observed = {each["observedGeneration"] for each in status.get("conditions", ())}
        current = {found["status"]["generation"]}
        return status.get("state") == "Ready" and observed == current and not self.issues()

    def _told(self) -> str:
        return json.dumps(self.show()["status"], indent=1)


def be_impatient(patch: pytest.MonkeyPatch) -> None:
    """The agent's and the controller's waits between two tries, in fractions of a second."""
    patch.setattr(fetching, "EVENTUAL_SECONDS", 0.5)
    patch.setattr(fetching, "EVENTUAL_RETRY_SECONDS", 0.2)
    patch.setattr(loop, "_BACKOFF", Backoff(base=0.2, maximum=0.5))
    patch.setattr(loop, "_PLANNING_SECONDS", 0.05)
    patch.setattr(loop, "_SHORTEST_WAIT_SECONDS", 0.05)
    patch.setattr(pacing, "NOT_READY_SECONDS", 0.3)
    patch.setattr(pacing, "INSTALLING_SECONDS", (0.2,))
    patch.setattr(reconciling, "_BELIEVED_UNSETTLED", timedelta(seconds=0.3))


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """The address of an app while it is served."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def controlling(database: Database) -> Iterator[None]:
    """The engine in a thread, its log on stderr: stdout is the command's that runs beside it."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    settings = ControllerSettings(
        agent_image="registry.example.org/pullpass@sha256:1",
        public_url=f"https://{PUBLIC_HOST}",
        allow_loopback=True,
        look_seconds=0.5,
    )
    engine = Engine(database, settings, clock=SystemClock(), random=SystemRandom())
    stop = threading.Event()
    thread = threading.Thread(target=engine.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        structlog.reset_defaults()


@contextmanager
def agent(cluster: SandboxCluster, folder: Path) -> Iterator[None]:
    """The agent as its Deployment would run it, as soon as the hub has made its account."""
    access = admin_access(cluster)
    eventually(lambda: project_tokens(cluster, folder))
    (folder / "ca.crt").write_text(access.certificate_authority or "")
    replica = Replica(
        {
            "PULLPASS_KUBERNETES_SERVER": access.server,
            "PULLPASS_KUBERNETES_TOKEN_FILE": str(folder / "kubernetes"),
            "PULLPASS_KUBERNETES_CA_FILE": str(folder / "ca.crt"),
            "PULLPASS_WEB_IDENTITY_TOKEN_FILE": str(folder / "aws"),
            "PULLPASS_HEALTH_PORT": "0",
            "PULLPASS_WEBHOOK_PORT": "0",
            "PULLPASS_POD_NAME": "pullpass-agent-1",
        }
    )
    try:
        yield
    finally:
        replica.stop()


def project_tokens(cluster: SandboxCluster, folder: Path) -> bool:
    """Puts the agent's tokens where a kubelet would; False as long as it has no account."""
    admin = Client(admin_access(cluster))
    try:
        for file, audiences in (("kubernetes", ()), ("aws", ("sts.amazonaws.com",))):
            issued = admin.request_token(
                SYSTEM, "pullpass-agent", audiences=audiences, expiration_seconds=86_400
            )
            (folder / file).write_text(issued.token)
    except KubeError:
        return False
    finally:
        admin.close()
    return True


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """Registered and connected with an AWS account that holds nothing, awsECR enabled without a role."""
    with empty_scene(folder) as found:
        found.register()
        with agent(found.cluster, folder):
            yield found


@contextmanager
def empty_scene(folder: Path) -> Iterator[Scene]:
    """A hub that knows no cluster, an AWS account that holds nothing, and a cluster that neither has heard of."""
    site: dict[str, Any] = {}
    with ExitStack() as stack:
        world = World(run_workloads=False)
        world.start()
        stack.callback(world.stop)
        world.public_hosts["oidc.example.org"] = stack.enter_context(serving(_site(site)))
        world.add_image(IMAGE)
        cluster = world.add_cluster(NAME, issuer=ISSUER, public=False)
        database = Database(f"sqlite:///{folder}/pullpass.db", sealer=Sealer((bytes(32),)))
        stack.callback(database.close)
        database.migrate()
        clock = SystemClock()
        settings = ApiSettings(public_url=f"https://{PUBLIC_HOST}", allow_loopback=True)
        endpoint = stack.enter_context(serving(create_app(database, settings, now=clock.now)))
        world.public_hosts[PUBLIC_HOST] = endpoint
        token = tokens.issue(database, org="acme", role=Role.ADMIN, name="ada", now=clock.now())
        found = Scene(world, cluster, Hub(endpoint, token, "acme"), token=token, folder=folder, site=site)
        found.publish()
        (folder / "kubeconfig").write_text(cluster.kubeconfig())
        stack.enter_context(controlling(database))
        yield found


def _site(documents: dict[str, Any]) -> Flask:
    """A person's static web site."""
    app = Flask("site")

    @app.get("/<path:path>")
    def read(path: str) -> Any:
        return documents.get(path, ("", 404))

    return app
