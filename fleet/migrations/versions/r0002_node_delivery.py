"""Delivery by nodes: whom a role has to trust, and when the first token on a node runs out."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("clusters", sa.Column("trusted_accounts", sa.Text))
    op.add_column("clusters", sa.Column("node_token_expires_at", sa.DateTime(timezone=True)))
