"""A real PostgreSQL of the tests' own: Debian's binaries, a temporary folder, a Unix socket, nothing durable.

Started once a session; tests share a migrated database, which `restore` empties between them in a few milliseconds:
making one for each would cost ten times that.
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
from psycopg.sql import SQL, Identifier

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

    def create(self) -> str:
        """The name of a new database."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def keep(self, name: str) -> None:
        """Remembers the rows of a database, for `restore`."""
        with psycopg.connect(self.url(name)) as connection:
            connection.execute("CREATE SCHEMA kept")
            for table in _tables(connection):
                connection.execute(SQL("CREATE TABLE kept.{} AS TABLE public.{}").format(table, table))

    def restore(self, name: str) -> None:
        """Gives a database the rows back that it had at `keep`, whoever is still connected to it."""
        with psycopg.connect(self.url(name)) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute("SET session_replication_role = replica")  # foreign keys ask for no order
            for table in _tables(connection):
                connection.execute(SQL("DELETE FROM public.{}").format(table))
                connection.execute(SQL("INSERT INTO public.{} SELECT * FROM kept.{}").format(table, table))

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new database, dropped afterwards whoever is still connected to it."""
        name = self.create()
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
        """Drops every connection, as a fail-over does; returns when they are gone."""
        self.execute(
            "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity"
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


def _tables(connection: psycopg.Connection[Any]) -> list[Identifier]:
    found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return [Identifier(name) for (name,) in found]


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
