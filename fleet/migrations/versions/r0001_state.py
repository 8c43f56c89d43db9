"""The state as of 0.1: clusters, connections, work, shards, statuses, events, audit, tokens, issuers."""

import base64
import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SHARDS = 64

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TIME = sa.DateTime(timezone=True)


def of_cluster(table: str, *, nullable: bool = False) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("cluster_uid", sa.Text, nullable=nullable),
        sa.ForeignKeyConstraint(
            ["cluster_uid"], ["clusters.uid"], name=f"fk_{table}_cluster_uid", ondelete="CASCADE"
        ),
    ]


def upgrade() -> None:
    hub = op.create_table(
        "hub",
        sa.Column("id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hub"),
    )
    op.create_table(
        "clusters",
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("org", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.Column("last_modified", TIME, nullable=False),
        sa.Column("connected", sa.Boolean, nullable=False),
        sa.Column("removal_requested_at", TIME),
        sa.Column("removal_requested_by", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("role_arn", sa.Text),
        sa.Column("issuer_url", sa.Text),
        sa.Column("audience", sa.Text),
        sa.PrimaryKeyConstraint("uid", name="pk_clusters"),
        sa.UniqueConstraint("org", "name", name="uq_clusters_org_name"),
    )
    op.create_index("ix_clusters_shard", "clusters", ["shard"])
    op.create_index("ix_clusters_org_role_arn", "clusters", ["org", "role_arn"])
    op.create_table(
        "connections",
        *of_cluster("connections"),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", TIME),
        sa.PrimaryKeyConstraint("cluster_uid", name="pk_connections"),
    )
    op.create_index("ix_connections_expires_at", "connections", ["expires_at"])
    op.create_table(
        "work",
        sa.Column("id", SERIAL, nullable=False, autoincrement=True),
        *of_cluster("work"),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_work"),
        sa.UniqueConstraint("cluster_uid", name="uq_work_cluster_uid"),
    )
    op.create_index("ix_work_shard", "work", ["shard"])
    shards = op.create_table(
        "shards",
        sa.Column("id", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("owner", sa.Text),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shards"),
    )
    op.create_table(
        "processes",
        sa.Column("id", NAME, nullable=False),
        sa.Column("heartbeat", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_processes"),
    )
    op.create_table(
        "add_on_states",
        *of_cluster("add_on_states"),
        sa.Column("add_on", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("cluster_uid", "add_on", name="pk_add_on_states"),
    )
    op.create_table(
        "events",
        sa.Column("id", SERIAL, nullable=False, autoincrement=True),
        *of_cluster("events"),
        sa.Column("created", TIME, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_cluster_uid_id", "events", ["cluster_uid", "id"])
    op.create_table(
        "audit",
        sa.Column("id", SERIAL, nullable=False, autoincrement=True),
        sa.Column("org", NAME, nullable=False),
        sa.Column("time", TIME, nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_org_id", "audit", ["org", "id"])
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("org", NAME, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.SmallInteger, nullable=False),
        sa.Column("created", TIME, nullable=False),
        sa.Column("expires_at", TIME),
        sa.Column("revoked", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("hash", name="uq_tokens_hash"),
    )
    op.create_index("ix_tokens_org", "tokens", ["org"])
    op.create_table(
        "issuers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("cluster_uid", sa.Text, nullable=False),
        sa.Column("org", NAME, nullable=False),
        sa.Column("cluster", NAME, nullable=False),
        sa.Column("jwks", sa.Text, nullable=False),
        sa.Column("pending_jwks", sa.Text),
        sa.Column("tombstone", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_issuers"),
        sa.UniqueConstraint("cluster_uid", name="uq_issuers_cluster_uid"),
    )
    hub_id = base64.b32encode(secrets.token_bytes(16)).decode("ascii").rstrip("=").lower()
    op.bulk_insert(hub, [{"id": hub_id}])
    op.bulk_insert(shards, [{"id": shard, "owner": None, "epoch": 0} for shard in range(SHARDS)])
