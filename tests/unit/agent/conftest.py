# ruff: noqa: ARG002 - the signatures are those of AWS's questions, not all of which matter here
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agent.pods import stuck
from agent.secrets import loop
from aws.credentials import AwsEndpoints, RegistryCredential, SessionCredentials
from aws.hops import AwsFailure
from aws.identities import RoleLink, WebIdentity
from aws.registry_hosts import parse
from aws.sessions import Source, token_text
from sandbox.world import World
from tests.unit.agent.cell import ACCOUNT, AUDIENCE, OURS, ROLE, Cell


class CountingAws:
    """AWS at the boundary: counts its calls, and fails where it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failures: dict[str, AwsFailure] = {}
        self.tokens: list[str] = []
        self.sources: list[Source] = []
        self.granted = 0
        self.skew = timedelta()

    def session(
        self,
        source: Source,
        roles: Sequence[RoleLink],
        *,
        read_token: Callable[[], str],
        session_name: str,
        region: str,
        endpoints: AwsEndpoints,
    ) -> SessionCredentials:
        self._called(f"sts {region}")
        self.sources.append(source)
        if isinstance(source, WebIdentity):
            self.tokens.append(token_text(read_token))
        return SessionCredentials("AKIA", "secret", "session", datetime.max)  # noqa: DTZ901 - not read

    def authorization_token(
        self, *, credentials: SessionCredentials, region: str, endpoints: AwsEndpoints, now: datetime
    ) -> RegistryCredential:
        self._called(f"ecr {region}")
        self.granted += 1
        return RegistryCredential(region, "AWS", f"password-{self.granted}", now, now + timedelta(hours=12))

    def check_registry(
        self, *, host: str, credential: RegistryCredential, image: str | None, endpoints: AwsEndpoints
    ) -> None:
        registry = parse(host)
        assert registry is not None
        self._called(f"registry {registry.region}" if image is None else f"image {image}")

    def _called(self, call: str) -> None:
        self.calls.append(call)
        failure = self.failures.get(call)
        if failure is not None:
            raise failure


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes in crowds is gathered for less time than in production."""
    monkeypatch.setattr(loop, "_PLANNING_SECONDS", 0.05)
    monkeypatch.setattr(loop, "_TELLING_SECONDS", 0.05)
    monkeypatch.setattr(loop, "_SHORTEST_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(stuck, "_GATHERING_SECONDS", 0.05)
    monkeypatch.setattr(stuck, "_NEXT_SECONDS", 0.1)


@pytest.fixture
def aws() -> CountingAws:
    return CountingAws()


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    file = tmp_path / "token"
    file.write_text("a.web.token\n")
    return str(file)


@pytest.fixture
def rewrite(token_file: str) -> Callable[[str], None]:
    def write(text: str) -> None:
        Path(token_file).write_text(text)

    return write


@pytest.fixture
def world() -> Iterator[World]:
    world = World(run_workloads=False)
    world.start()
    yield world
    world.stop()


@pytest.fixture
def cell(world: World, signing_key: str, tmp_path: Path) -> Iterator[Cell]:
    issuer = "https://issuer.example/demo"
    cluster = world.add_cluster("demo", issuer=issuer, public=True, signing_key=signing_key)
    world.create_oidc_provider(ACCOUNT, issuer, [AUDIENCE])
    world.create_role(
        ROLE,
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example/demo"},
                    "Condition": {
                        "StringEquals": {
                            "issuer.example/demo:aud": AUDIENCE,
                            "issuer.example/demo:sub": f"system:serviceaccount:{OURS}:pullpass-agent",
                        }
                    },
                }
            ],
        },
    )
    cell = Cell(world, cluster, tmp_path)
    yield cell
    cell.stop()
    cell.admin.close()


@pytest.fixture
def running(cell: Cell) -> Cell:
    """An agent that has filled namespace default and said so."""
    cell.configure()
    cell.start()
    cell.reported(lambda report: report.namespaces_ready == 1)
    return cell
