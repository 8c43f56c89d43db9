"""A real PostgreSQL of the tests' own: Debian's binaries, a temporary folder, a Unix socket, nothing durable.

Started once a session; each test gets a database cloned from a template.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cli import children
from tests.support import programs

_UNSAFE_AND_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=2GB")


class PostgreSql:
    """One running server; `stop` ends it and removes its folder."""

    def __init__(self) -> None:
        # Not under pytest's temporary folder, which only its owner may enter; and short, as a socket's path must be.
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        initdb, postgres = _require("initdb"), _require("postgres")
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            account = pwd.getpwnam("postgres")
            os.chown(self._folder, account.pw_uid, account.pw_gid)
            as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        data = self._folder / "data"
        subprocess.run(
            [initdb, "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D", data],
            check=True,
            capture_output=True,
            cwd=self._folder,
            **as_user,
        )
        settings = [f"-c{setting}" for setting in _UNSAFE_AND_FAST]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [postgres, "-D", data, "-k", self._folder, "-clisten_addresses=", *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                preexec_fn=children.bound(signal.SIGQUIT),  # noqa: PLW1509 - two system calls, no lock taken
                **as_user,
            )
        # The server answers once its lock file says that it is ready, on the file's last line.
        _wait_until(self._process, lambda: self._state(data) == "ready", self._folder / "log")

    @staticmethod
    def _state(data: Path) -> str:
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return ""
        return lines[7].strip() if len(lines) > 7 else ""

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def create(self, *, template: str = "template1") -> str:
        """The name of a new database."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    @contextmanager
    def database(self, *, template: str = "template1") -> Iterator[str]:
        """The URL of a new database, dropped afterwards whoever is still connected to it."""
        name = self.create(template=template)
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """One statement in the maintenance database, and its rows."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def drop_connections(self) -> None:
        """Drops every connection, as a fail-over does."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # immediate: there is nothing to keep
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder)


def _require(name: str) -> Path:
    path = programs.find(name)
    if path is not None:
        return path
    message = f"PostgreSQL's {name} is not here: apt-get install postgresql"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def _wait_until(process: subprocess.Popen[bytes], ready: Any, log: Path) -> None:
    for _ in range(600):
        if ready():
            return
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"PostgreSQL ended: {log.read_text(errors='replace')}")
    pytest.fail(f"PostgreSQL did not become ready: {log.read_text(errors='replace')}")
