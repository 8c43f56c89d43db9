"""External ids: what the hub sends when it assumes roles for an organisation."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "external_ids",
        sa.Column("org", name, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("org", name="pk_external_ids"),
        sa.UniqueConstraint("external_id", name="uq_external_ids_external_id"),
    )
