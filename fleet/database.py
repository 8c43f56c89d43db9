"""The database: one engine, one transaction at a time, one code path for SQLite (WAL) and PostgreSQL.

Every other module of `fleet` takes a `Database` first. Opened by `cli`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection as Session

from fleet.sealing import Sealer


class Database:
    """`sealer` seals connections; `notify` wakes controllers (LISTEN/NOTIFY, or SQLite's data_version)."""

    def __init__(self, url: str, *, sealer: Sealer) -> None:
        raise NotImplementedError

    def migrate(self) -> None:
        """Brings the schema up to date under a lock; safe from many processes at once."""
        raise NotImplementedError

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that writes (`BEGIN IMMEDIATE` on SQLite): commits, or leaves nothing."""
        raise NotImplementedError

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads."""
        raise NotImplementedError

    def hub_id(self) -> str:
        """The random id of this hub, made at the first migration: the owner's name in each cluster."""
        raise NotImplementedError

    def ping(self) -> None:
        """Raises `fleet.errors.DatabaseUnavailable` when the database does not answer."""
        raise NotImplementedError

    def close(self) -> None:
        """Gives back every connection."""
        raise NotImplementedError
