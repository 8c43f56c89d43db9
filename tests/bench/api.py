"""Reads and writes of the API against a bare Flask route that reads and writes the same rows by hand.

Both run under the same gunicorn with the same threads, on the same SQLite file, one after the other. The bare route
checks the token, reads or writes the rows that ours does with plain `sqlite3`, and answers JSON: what anybody would
write first. It parses no manifest, refuses nothing and generates no trust policy.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import urllib3
from flask import Flask, Response, request

from cli.serve import Server
from tests.bench.load import Load, Measured, measure
from tests.support.processes import free_port

TOKEN = "pp_bench_0123456789abcdefghijklmnopqrstuvwxyz"
ROLE = "arn:aws:iam::123456789012:role/pullpass"
CLUSTERS = 200
READ = (
    "SELECT uid, manifest, settings, version, created, last_modified, status"
    " FROM clusters WHERE org = ? AND name = ?"
)


def manifest(name: str, release: int = 0) -> dict[str, Any]:
    return {
        "kind": "mk8s",
        "name": name,
        "description": f"release {release}",
        "tags": {"team": "shop"},
        "spec": {
            "version": "1.34.4",
            "provider": {"generic": {"location": "aws-eu-central-1"}},
            "addOns": {"awsWorkloadIdentity": {}, "awsECR": {"roleArn": ROLE}},
        },
    }


def run() -> None:
    with tempfile.TemporaryDirectory() as directory:
        environment = {
            **os.environ,
            "PULLPASS_DATA_DIRECTORY": directory,
            "PULLPASS_DATABASE_URL": f"sqlite:///{directory}/pullpass.db",
            "PULLPASS_BOOTSTRAP_TOKEN": TOKEN,
            "PULLPASS_LOG_LEVEL": "warning",
        }
        with served([sys.executable, "-m", "cli", "serve"], environment) as port:
            _fill(port)
            ours = {name: measure(load) for name, load in _loads(port).items()}
        with served([sys.executable, "-m", "tests.bench.api", "bare"], environment) as port:
            bare = {name: measure(load) for name, load in _loads(port).items()}
    print(f"{'api':24}{'ours/s':>10}{'p99 ms':>10}{'bare/s':>10}{'p99 ms':>10}{'ratio':>8}")
    for name, measured in ours.items():
        _print(name, measured, bare[name])


def _print(name: str, ours: Measured, bare: Measured) -> None:
    print(
        f"{name:24}{ours.rate:>10.0f}{ours.p99:>10.1f}{bare.rate:>10.0f}{bare.p99:>10.1f}{ours.rate / bare.rate:>8.2f}"
    )


def _loads(port: int) -> dict[str, Load]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    writes = tuple(json.dumps(manifest("cluster-007", release)) for release in range(50))
    base = "/org/acme/mk8s"
    return {
        "read one": Load(port, "GET", f"{base}/cluster-007", headers),
        "list 50": Load(port, "GET", f"{base}?limit=50", headers, seconds=5),
        "write one": Load(port, "PUT", f"{base}/cluster-007", headers, bodies=writes, connections=2),
    }


def _fill(port: int) -> None:
    pool = urllib3.PoolManager(retries=False)
    for number in range(CLUSTERS):
        body = manifest(f"cluster-{number:03}")
        if number >= 4:
            del body["spec"]["addOns"]
        response = pool.request(
            "PUT",
            f"http://127.0.0.1:{port}/org/acme/mk8s",
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            body=json.dumps(body).encode(),
        )
        if response.status != 201:
            raise RuntimeError(response.data)
    pool.clear()


@contextmanager
def served(command: list[str], environment: dict[str, str]) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen(command, env={**environment, "PULLPASS_PORT": str(port)})
    pool = urllib3.PoolManager(retries=urllib3.Retry(connect=60, backoff_factor=0.05))
    try:
        pool.request("GET", f"http://127.0.0.1:{port}/healthz")
        yield port
    finally:
        pool.clear()
        process.terminate()
        process.wait()


def _bare(database: str) -> Flask:  # noqa: C901 - four routes and what they share
    """The baseline."""
    app = Flask(__name__)
    local = threading.local()

    def connection() -> sqlite3.Connection:
        opened: sqlite3.Connection | None = getattr(local, "connection", None)
        if opened is None:
            opened = local.connection = sqlite3.connect(database, isolation_level=None, timeout=10)
        return opened

    def authenticated() -> bool:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        digest = hashlib.sha256(token.encode()).digest()
        row = connection().execute(
            "SELECT org, role, expires_at, revoked FROM tokens WHERE hash = ?", (digest,)
        )
        return row.fetchone() is not None

    def answer(row: tuple[Any, ...]) -> dict[str, Any]:
        uid, stored, settings, version, created, modified, status = row
        return {
            "id": uid,
            **json.loads(stored),
            "settings": json.loads(settings),
            "version": version,
            "created": created,
            "lastModified": modified,
            "status": json.loads(status or "{}"),
        }

    def sharers(org: str) -> list[tuple[Any, ...]]:
        return (
            connection()
            .execute(
                "SELECT name, role_arn, issuer_url, audience FROM clusters WHERE org = ? AND role_arn = ?",
                (org, ROLE),
            )
            .fetchall()
        )

    @app.get("/healthz")
    def healthz() -> str:
        return "ok"

    @app.get("/org/<org>/mk8s/<name>")
    def read(org: str, name: str) -> Response:
        if not authenticated():
            return Response(status=401)
        row = connection().execute(READ, (org, name)).fetchone()
        sharers(org)
        return Response(json.dumps(answer(row)), content_type="application/json")

    @app.get("/org/<org>/mk8s")
    def page(org: str) -> Response:
        if not authenticated():
            return Response(status=401)
        rows = connection().execute(
            "SELECT uid, manifest, settings, version, created, last_modified, status"
            " FROM clusters WHERE org = ? ORDER BY name LIMIT ?",
            (org, int(request.args["limit"])),
        )
        items = [answer(row) for row in rows.fetchall()]
        sharers(org)
        return Response(json.dumps({"items": items}), content_type="application/json")

    @app.put("/org/<org>/mk8s/<name>")
    def write(org: str, name: str) -> Response:
        if not authenticated():
            return Response(status=401)
        sent, now, database = request.get_json(), datetime.now(UTC).isoformat(), connection()
        database.execute("BEGIN IMMEDIATE")
        row = database.execute(READ, (org, name)).fetchone()
        database.execute(
            "UPDATE clusters SET manifest = ?, version = version + 1, last_modified = ? WHERE uid = ?",
            (json.dumps(sent), now, row[0]),
        )
        database.execute(
            "INSERT INTO audit (org, time, principal, action, resource, name) VALUES (?, ?, ?, ?, ?, ?)",
            (org, now, "bench", "update", "mk8s", name),
        )
        database.execute(
            "INSERT INTO events (cluster_uid, created, type, reason, body) VALUES (?, ?, ?, ?, ?)",
            (row[0], now, "Normal", "Updated", "{}"),
        )
        database.execute("COMMIT")
        row = database.execute(READ, (org, name)).fetchone()
        return Response(json.dumps(answer(row)), content_type="application/json")

    return app


def _serve_bare() -> None:
    database = str(Path(os.environ["PULLPASS_DATA_DIRECTORY"]) / "pullpass.db")
    options = {
        "bind": f"127.0.0.1:{os.environ['PULLPASS_PORT']}",
        "worker_class": "gthread",
        "workers": 1,
        "threads": 16,
        "keepalive": 75,
        "loglevel": "warning",
        "control_socket_disable": True,
    }
    Server(lambda: _bare(database), options).run()


if __name__ == "__main__":
    if sys.argv[1:] == ["bare"]:
        sys.argv = sys.argv[:1]
        _serve_bare()
    else:
        run()
