"""What the fleet's tests store."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from cli import children
from fleet import cluster_rows
from fleet.database import Database
from fleet.records import ClusterKey
from fleet.sealing import Sealer
from schemas.connection import Connection
from tests.support.programs import REPOSITORY

NOW = datetime(2026, 11, 22, 5, 40, 0, 123456, tzinfo=UTC)
KEY = b"k" * 32
ROLE_ARN = "arn:aws:iam::123456789012:role/pull"
CONNECTION = Connection(
    server="https://10.0.0.1:6443",
    token="very-secret",
    granted_at=datetime(2026, 11, 22, 5, 40, tzinfo=UTC),
    expires_at=datetime(2026, 12, 22, 5, 40, tzinfo=UTC),
    renewable=True,
)


def open_database(url: str, *keys: bytes, lock_timeout_seconds: float = 10.0) -> Database:
    return Database(url, sealer=Sealer(keys or (KEY,)), lock_timeout_seconds=lock_timeout_seconds)


def manifest(name: str = "demo", **spec: Any) -> dict[str, Any]:
    return {
        "kind": "mk8s",
        "name": name,
        "description": name,
        "tags": {},
        "spec": {"provider": {"generic": {"location": "aws-eu-central-1"}}, "version": "1.31.2"} | spec,
    }


def ecr_manifest(name: str, role_arn: str = ROLE_ARN) -> dict[str, Any]:
    return manifest(name, addOns={"awsWorkloadIdentity": {}, "awsECR": {"roleArn": role_arn}})


def start_python(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process of ours, which runs `program`."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=children.bound(signal.SIGKILL),  # noqa: PLW1509 - two system calls, no lock taken
    )


def change(database: Database, key: ClusterKey) -> None:
    """The smallest change that a reconcile must act on."""
    with database.write() as session:
        cluster_rows.count_up(session, cluster_rows.lock(session, key))
