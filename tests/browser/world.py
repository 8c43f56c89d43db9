"""What a person has in front of them: `pullpass up` as processes, and a sandbox of clusters and an AWS to go with it.

The hub and the controller are the real ones, started as the documentation says; the sandbox lives in this process, so
that a test can do in IAM and at an API server what a remedy asks a person to do.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import urllib3
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aws.trust_policy import TrustedWorkload, subject, trust_policy
from cli.connect import install
from controller.connecting import access_of
from fleet import sessions, tokens
from fleet.database import Database
from fleet.records import Role
from fleet.sealing import Sealer
from kube.client import Client
from sandbox.world import SandboxCluster, World
from schemas import connection_bodies, trusted_accounts
from tests.support import processes
from tests.support.programs import REPOSITORY

ACCOUNT = "123456789012"
REGION = "eu-central-1"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
AUDIENCE = "sts.amazonaws.com"
PUBLIC_HOST = "pullpass.example.com"
PRIVATE_ISSUER = "https://kubernetes.default.svc.cluster.local"
ADMIN = "pp_browser_0123456789abcdefghijklmnopqrstuvwx"
ORG = "acme"
_TENTHS = 1200
_FLAG = re.compile(r"--service-account-issuer=(\S+)")


class ConsoleWorld:
    """`link` is the one that `pullpass up` printed; `origin` is where the console is."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._log = directory / "up.log"
        self._port = processes.free_port()
        self._pool = urllib3.PoolManager(retries=False, timeout=20)
        self.origin = f"http://127.0.0.1:{self._port}"
        self.link = ""
        self._read = 0
        self.sandbox = World(public_hosts={PUBLIC_HOST: self.origin})
        self._signing_key = _new_signing_key()

    def start(self) -> None:
        """Returns when the console answers."""
        self.sandbox.start()
        self.sandbox.add_image(f"{REGISTRY}/shop/web:1.0")
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "PULLPASS_DATA_DIRECTORY": str(self._directory / "data"),
            "PULLPASS_PORT": str(self._port),
            "PULLPASS_BOOTSTRAP_TOKEN": ADMIN,
            "PULLPASS_ALLOW_LOOPBACK": "true",
            "PULLPASS_PUBLIC_URL": f"https://{PUBLIC_HOST}",
            "PULLPASS_LOG_LEVEL": "warning",
        }
        self._process = processes.start(
            [sys.executable, "-m", "cli", "up"], log=self._log, environment=environment
        )
        self.wait(lambda: "Ctrl-C ends it" in self._log.read_text(), "ready")
        found = re.search(r"http://\S+/sign-in\?code=\S+", self._log.read_text())
        assert found is not None, self._log.read_text()
        self.link = found[0]
        data = self._directory / "data"
        self._database = Database(
            f"sqlite:///{data / 'pullpass.db'}", sealer=Sealer.from_file(data / "sealing.key")
        )

    def stop(self) -> None:
        """Ends all of it."""
        self._pool.clear()
        if hasattr(self, "_database"):
            self._database.close()
        if hasattr(self, "_process"):
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                processes.stop(self._process)
        self.sandbox.stop()

    def failures(self) -> str:
        """What hub and controller logged as an error since this was asked last."""
        with self._log.open() as log:
            log.seek(self._read)
            text = log.read()
            self._read = log.tell()
        return "\n".join(line for line in text.splitlines() if '"level": "error"' in line)

    def wait(self, look: Callable[[], Any], what: str) -> None:
        """Looks ten times a second, for two minutes at most."""
        pause = threading.Event()
        for _ in range(_TENTHS):
            if look():
                return
            assert self._process.poll() is None, self._log.read_text()
            pause.wait(0.1)
        raise AssertionError(f"never {what}: {self._log.read_text()}")

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The API, as `curl` with an admin's token: `path` is what follows `/org/acme/mk8s`."""
        response = self._pool.request(
            method,
            f"{self.origin}/org/{ORG}/mk8s{path}",
            headers={"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"},
            body=None if body is None else json.dumps(body).encode(),
        )
        assert response.status < 300, response.data
        return json.loads(response.data)

    def token(self, role: Role, *, org: str = ORG) -> str:
        """A new token, as `pullpass tokens issue` makes it."""
        return tokens.issue(
            self._database, org=org, role=role, name=f"the {role.name.lower()}", now=datetime.now(UTC)
        )

    def new_link(self) -> str:
        """A link as `pullpass up` prints it."""
        now = datetime.now(UTC)
        owner = tokens.authenticate(self._database, ADMIN, now=now)
        assert owner is not None
        return f"{self.origin}/sign-in?code={sessions.make_link(self._database, owner, now=now)}"

    def add_cluster(
        self,
        name: str,
        *,
        add_ons: Mapping[str, Any] | None = None,
        private: bool = False,
        down: bool = False,
        provider: str = "generic",
        prepared: bool = True,
    ) -> SandboxCluster:
        """A cluster that is created and connected; `prepared`: its IAM provider and its role are there already."""
        issuer = PRIVATE_ISSUER if private else f"https://oidc.eks.{REGION}.amazonaws.com/id/{name}"
        cluster = self.sandbox.add_cluster(
            name, issuer=issuer, public=not private, down=down, signing_key=self._signing_key
        )
        spec: dict[str, Any] = {"version": "1.34.4", "provider": PROVIDERS[provider]}
        if add_ons is not None:
            spec["addOns"] = dict(add_ons)
        settings = {"awsECR": {"registries": [REGISTRY]}} if provider != "aws" else {}
        self.call("POST", "", {"kind": "mk8s", "name": name, "spec": spec, "settings": settings})
        if prepared and not private:
            self.sandbox.create_oidc_provider(ACCOUNT, issuer, [AUDIENCE])
            subjects = tuple(subject(*account.split("/")) for account in trusted_accounts.BY_DEFAULT)
            workload = TrustedWorkload(issuer, AUDIENCE, subjects)
            self.sandbox.create_role(role_arn(name), trust_policy(role_arn(name), [workload]))
        self.connect(cluster)
        return cluster

    def connect(self, cluster: SandboxCluster) -> None:
        """As `pullpass connect`, with the sandbox's AWS in the place of the real one."""
        endpoints = self.sandbox.aws_endpoints
        aws = {f"{name}Endpoint": endpoints[name] for name in ("sts", "ecr", "registry")}
        body = {"kubeconfig": cluster.kubeconfig(), "settings": {"timeoutSeconds": 5, "aws": aws}}
        if not cluster.down:
            parsed = connection_bodies.parse(body, now=datetime.now(UTC), allow_loopback=True)
            client = Client(access_of(parsed, allow_loopback=True))
            try:
                install(client)
            finally:
                client.close()
        self.call("PUT", f"/{cluster.name}/-connection", body)

    def run_aws(self, command: str, *, policy: Mapping[str, Any] | None = None) -> None:
        """Does in the sandbox's IAM what an `aws iam …` command, as a page shows it, would do in the real one."""
        words = shlex.split(command)
        options = dict(zip(words[3::2], words[4::2], strict=True))
        assert ["aws", "iam"] == words[:2], command
        match words[2]:
            case "create-open-id-connect-provider":
                self.sandbox.create_oidc_provider(ACCOUNT, options["--url"], [options["--client-id-list"]])
            case "update-assume-role-policy":
                assert policy is not None
                self.sandbox.create_role(role_arn(options["--role-name"]), dict(policy))
            case other:
                raise AssertionError(f"no such call: {other}")

    def restart_api_server(self, cluster: str, flags: str) -> None:
        """Gives a cluster's API server the `--service-account-issuer` flags that stand in `flags`, in their order."""
        issuers = _FLAG.findall(flags)
        assert issuers, flags
        self.sandbox.clusters[cluster].set_issuers(issuers)


PROVIDERS: dict[str, dict[str, Any]] = {
    "generic": {"generic": {"location": "aws-eu-central-1"}},
    "hetzner": {
        "hetzner": {
            "region": "fsn1",
            "tokenSecretLink": "//secret/hetzner",
            "networkId": "1234",
            "image": "ubuntu-24.04",
            "nodePools": [],
        }
    },
    "aws": {
        "aws": {
            "region": REGION,
            "deployRoleArn": f"arn:aws:iam::{ACCOUNT}:role/deploy",
            "vpcId": "vpc-0a1b2c3d",
            "image": {"recommended": "amazon/al2023"},
            "nodePools": [],
        }
    },
}


def role_arn(cluster: str) -> str:
    """The role that a test uses for this cluster alone."""
    return f"arn:aws:iam::{ACCOUNT}:role/{cluster}"


def both(cluster: str) -> dict[str, Any]:
    """Both add-ons, as a manifest asks for them."""
    return {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": role_arn(cluster)}}


def _new_signing_key() -> str:
    """One for all clusters: making one takes longer than the rest of a cluster."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
