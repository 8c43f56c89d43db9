"""The console: what is asked of all clusters at once, browsers that are signed in, and links that sign one in."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("clusters", sa.Column("credentials_expire_at", sa.DateTime(timezone=True)))
    op.add_column("clusters", sa.Column("standing", sa.Text))
    op.add_column("clusters", sa.Column("search", sa.Text))
    op.add_column("clusters", sa.Column("last_seen", sa.DateTime(timezone=True)))
    op.create_table(
        "cluster_issues",
        sa.Column("cluster_uid", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("org", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("cluster_uid", "code", name="pk_cluster_issues"),
        sa.ForeignKeyConstraint(
            ["cluster_uid"], ["clusters.uid"], name="fk_cluster_issues_cluster_uid", ondelete="CASCADE"
        ),
    )
    _fill_in()
    op.create_index("ix_cluster_issues_org_code_cluster_uid", "cluster_issues", ["org", "code", "cluster_uid"])
    op.create_index(
        "ix_clusters_org_credentials_expire_at_name", "clusters", ["org", "credentials_expire_at", "name"]
    )
    op.create_index("ix_clusters_found", "clusters", ["org", "name", "standing", "uid", "search"])
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


_WORST_FIRST = ("Failed", "Blocked", "Degraded", "Removing", "Installing", "Ready")
_ADD_ONS = ("awsECR", "awsWorkloadIdentity")
_STORED = sa.text(
    "SELECT uid, org, name, manifest, status, connected, removal_requested_at FROM clusters ORDER BY uid"
)
_FILL = sa.text(
    "UPDATE clusters SET standing = :standing, search = :search, credentials_expire_at = :end WHERE uid = :uid"
).bindparams(sa.bindparam("end", type_=sa.DateTime(timezone=True)))
_ADD_ISSUE = sa.text("INSERT INTO cluster_issues (cluster_uid, code, org) VALUES (:uid, :code, :org)")


def _fill_in() -> None:
    """What the new columns say of clusters that are there, as `fleet.standing` of this release says it."""
    session = op.get_bind()
    rows, hits = [], []
    for uid, org, name, manifest_text, status_text, connected, removal in session.execute(_STORED):
        manifest, status = json.loads(manifest_text), json.loads(status_text or "{}")
        add_ons = status.get("addOns", {})
        row = {
            "uid": uid,
            "standing": "Removing" if removal is not None else _standing(manifest, add_ons, connected=connected),
            "search": _search(name, manifest),
            "end": _end(add_ons.get("awsECR", {})),
        }
        rows.append(row)
        issues = [*status.get("issues", []), *(issue for each in add_ons.values() for issue in each["issues"])]
        hits += [{"uid": uid, "org": org, "code": code} for code in sorted({each["code"] for each in issues})]
    if rows:
        session.execute(_FILL, rows)
    if hits:
        session.execute(_ADD_ISSUE, hits)


def _standing(manifest: dict[str, Any], add_ons: dict[str, Any], *, connected: bool) -> str:
    if not connected:
        return "NotConnected"
    states = {add_on["state"] for add_on in add_ons.values()}
    enabled = manifest["spec"].get("addOns") or {}
    if any(key in enabled and key not in add_ons for key in _ADD_ONS):
        states.add("Installing")
    return next((state for state in _WORST_FIRST if state in states), "Disabled")


def _search(name: str, manifest: dict[str, Any]) -> str:
    spec = manifest["spec"]
    role = ((spec.get("addOns") or {}).get("awsECR") or {}).get("roleArn")
    tags = (f"{key}={value}" for key, value in (manifest.get("tags") or {}).items())
    parts = (name, *(spec.get("provider") or {}), role, *tags, manifest.get("description"))
    text = "\n".join(str(part) for part in parts if part).lower().replace("\x00", "")
    return text.encode(errors="ignore").decode()[:500]


def _end(registries: dict[str, Any]) -> datetime | None:
    moments = (
        (registries.get("credentials") or {}).get("expiresAt"),
        (registries.get("nodes") or {}).get("tokenExpiresAt"),
    )
    return min((datetime.fromisoformat(moment) for moment in moments if isinstance(moment, str)), default=None)
