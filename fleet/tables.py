"""The tables of the fleet, as SQLAlchemy Core sees them. Used by every module of `fleet` and by nobody else.

`fleet.migrations` makes them; a test holds the two equal. Documents (manifest, settings, status, keys) are JSON
text, exactly as it was written; times are UTC.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class UtcDateTime(TypeDecorator[datetime]):
    """A time-zone aware time in UTC: `timestamptz` on PostgreSQL, sortable text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


# Names sort by code point everywhere, so that a page follows the same order on both databases.
Name = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite counts up by itself only in a column that is exactly INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)


def _of_cluster(**options: Any) -> Column[Any]:
    return Column("cluster_uid", Text, ForeignKey("clusters.uid", ondelete="CASCADE"), **options)


hub = Table("hub", metadata, Column("id", Text, primary_key=True))

clusters = Table(
    "clusters",
    metadata,
    Column("uid", Text, primary_key=True),
    Column("org", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("manifest", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("last_modified", UtcDateTime, nullable=False),
    Column("connected", Boolean, nullable=False),
    Column("removal_requested_at", UtcDateTime),
    Column("removal_requested_by", Text),
    Column("status", Text),
    # What a trust policy is computed from, kept beside the documents that hold it.
    Column("role_arn", Text),
    Column("issuer_url", Text),
    Column("audience", Text),
    Column("trusted_accounts", Text),
    # What is asked of the whole fleet at once.
    Column("node_token_expires_at", UtcDateTime),
    Column("credentials_expire_at", UtcDateTime),
    Column("standing", Text),
    Column("search", Text),
    Column("last_seen", UtcDateTime),
    UniqueConstraint("org", "name"),
    Index(None, "shard"),
    Index(None, "org", "role_arn"),
    Index(None, "org", "credentials_expire_at", "name"),
    # Covers finding and counting: the rows themselves are wide, and ten thousand of them are not read for it.
    Index("ix_clusters_found", "org", "name", "standing", "uid", "search"),
)

connections = Table(
    "connections",
    metadata,
    _of_cluster(primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("expires_at", UtcDateTime),
    Index(None, "expires_at"),
)

work = Table(
    "work",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    _of_cluster(nullable=False, unique=True),
    Column("shard", SmallInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Index(None, "shard"),
)

shards = Table(
    "shards",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("owner", Text),
    Column("epoch", BigInteger, nullable=False),
)

processes = Table(
    "processes",
    metadata,
    Column("id", Name, primary_key=True),
    Column("heartbeat", UtcDateTime, nullable=False),
)

add_on_states = Table(
    "add_on_states",
    metadata,
    _of_cluster(primary_key=True),
    Column("add_on", Text, primary_key=True),
    Column("state", Text, nullable=False),
)

cluster_issues = Table(
    "cluster_issues",
    metadata,
    _of_cluster(primary_key=True),
    Column("code", Text, primary_key=True),
    Column("org", Name, nullable=False),
    Index(None, "org", "code", "cluster_uid"),
)

events = Table(
    "events",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    _of_cluster(nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("type", Text, nullable=False),
    Column("reason", Text, nullable=False),
    # JSON, because what a cluster answers may hold characters that PostgreSQL's text refuses.
    Column("body", Text, nullable=False),
    Index(None, "cluster_uid", "id"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("org", Name, nullable=False),
    Column("time", UtcDateTime, nullable=False),
    Column("principal", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", BigInteger),
    Index(None, "org", "id"),
    sqlite_autoincrement=True,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("org", Name, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", SmallInteger, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked", Boolean, nullable=False),
    Index(None, "org"),
)

# One browser that is signed in; it ends with its token.
sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("token_id", Text, ForeignKey("tokens.id", ondelete="CASCADE"), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("browser", Text, nullable=False),
    Index(None, "token_id"),
)

# A link that signs a browser in, once.
sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("token_id", Text, ForeignKey("tokens.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

# One for each organisation, for ever: it stands in trust policies of other people's roles.
external_ids = Table(
    "external_ids",
    metadata,
    Column("org", Name, primary_key=True),
    Column("external_id", Text, nullable=False, unique=True),
)

# What somebody asked a controller to do in a cluster now; forgotten after some minutes.
errands = Table(
    "errands",
    metadata,
    Column("id", Text, primary_key=True),
    _of_cluster(nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("result", Text),
    Index(None, "cluster_uid"),
    Index(None, "shard"),
)

# No foreign key: an issuer outlives a cluster that was forgotten by force.
issuers = Table(
    "issuers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("cluster_uid", Text, nullable=False, unique=True),
    Column("org", Name, nullable=False),
    Column("cluster", Name, nullable=False),
    Column("jwks", Text, nullable=False),
    Column("pending_jwks", Text),
    Column("tombstone", Boolean, nullable=False),
)


def new_id() -> str:
    """128 random bits as 26 lower-case letters and digits: fit for a URL, a label, and never used again."""
    return base64.b32encode(secrets.token_bytes(16)).decode("ascii").rstrip("=").lower()


def to_text(document: Mapping[str, Any]) -> str:
    """JSON text that keeps the order of members and each number as it is."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def canonical(document: Any) -> str:
    """JSON text that is equal for documents that say the same (1, 1.0 and true are not the same)."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True, allow_nan=False)
