"""The console: browsers that are signed in, and links that sign one in."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("clusters", sa.Column("credentials_expire_at", sa.DateTime(timezone=True)))
    op.add_column("clusters", sa.Column("standing", sa.Text))
    op.add_column("clusters", sa.Column("search", sa.Text))
    op.add_column("clusters", sa.Column("last_seen", sa.DateTime(timezone=True)))
    op.create_index("ix_clusters_org_standing_name", "clusters", ["org", "standing", "name"])
    op.create_table(
        "cluster_issues",
        sa.Column("cluster_uid", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("cluster_uid", "code", name="pk_cluster_issues"),
        sa.ForeignKeyConstraint(
            ["cluster_uid"], ["clusters.uid"], name="fk_cluster_issues_cluster_uid", ondelete="CASCADE"
        ),
    )
    _fill_in()
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("browser", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("hash", name="uq_sessions_hash"),
        sa.ForeignKeyConstraint(
            ["token_id"], ["tokens.id"], name="fk_sessions_token_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_sessions_token_id", "sessions", ["token_id"])
    op.create_table(
        "sign_in_links",
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_sign_in_links"),
        sa.ForeignKeyConstraint(
            ["token_id"], ["tokens.id"], name="fk_sign_in_links_token_id", ondelete="CASCADE"
        ),
    )


def _fill_in() -> None:
    """What the new columns say of clusters that are there: as `fleet.standing` said it in this release."""
    worst_first = ("Failed", "Blocked", "Degraded", "Removing", "Installing", "Ready")
    session = op.get_bind()
    rows = session.execute(
        sa.text("SELECT uid, name, manifest, status, connected, removal_requested_at FROM clusters")
    ).all()
    for uid, name, manifest_text, status_text, connected, removal in rows:
        manifest, status = json.loads(manifest_text), json.loads(status_text or "{}")
        states = {add_on["state"] for add_on in status.get("addOns", {}).values()}
        standing = next((state for state in worst_first if state in states), "Disabled")
        if removal is not None or not connected:
            standing = "NotConnected" if removal is None else "Removing"
        tags = (f"{key}={value}" for key, value in (manifest.get("tags") or {}).items())
        parts = (name, manifest.get("description"), *(manifest["spec"].get("provider") or {}), *tags)
        values = {"uid": uid, "standing": standing, "search": "\n".join(str(each) for each in parts if each).lower()}
        session.execute(
            sa.text("UPDATE clusters SET standing = :standing, search = :search WHERE uid = :uid"), values
        )
