# ruff: noqa: ARG002 - the signatures are those of AWS's questions, not all of which matter here
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from aws.credentials import AwsEndpoints, RegistryCredential, SessionCredentials
from aws.hops import AwsFailure
from aws.registry_hosts import parse


class CountingAws:
    """AWS at the boundary: counts its calls, and fails where it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failures: dict[str, AwsFailure] = {}
        self.tokens: list[str] = []
        self.granted = 0
        self.skew = timedelta()

    def assume_role(
        self, *, role_arn: str, token: str, session_name: str, region: str, endpoints: AwsEndpoints
    ) -> SessionCredentials:
        self._called(f"sts {region}")
        self.tokens.append(token)
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
