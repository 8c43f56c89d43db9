"""An account of moto's that holds nothing but two of AWS's own policies: to read all of them takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from moto import mock_aws
from moto.iam.models import AWSManagedPolicy, iam_backends

from aws.setup.wanted import NODE_READ_ONLY, PULL_ONLY

ACCOUNT = "123456789012"


@dataclass
class Clients:
    """boto3's clients of the account, in one region."""

    region: str
    _made: dict[str, Any] = field(default_factory=dict)

    def of(self, service: str) -> Any:
        if service not in self._made:
            session = boto3.session.Session(
                region_name=self.region, aws_access_key_id="testing", aws_secret_access_key="testing"
            )
            self._made[service] = session.client(service)  # type: ignore[call-overload]
        return self._made[service]

    def close(self) -> None:
        for client in self._made.values():
            client.close()


@contextmanager
def empty_account(partition: str = "aws") -> Iterator[Clients]:
    """Gone at the end, with all that was made in it."""
    clients = Clients({"aws-cn": "cn-north-1"}.get(partition, "eu-central-1"))
    with mock_aws():
        made: Any = AWSManagedPolicy  # mypy takes it for abstract
        backend = iam_backends[ACCOUNT][partition]
        for name in (NODE_READ_ONLY, PULL_ONLY):
            policy = made(name, account_id=ACCOUNT, region=clients.region, document="{}", path="/")
            backend.managed_policies[policy.arn] = policy
        yield clients
        clients.close()
