"""Errands: what a controller is asked to do in a cluster now."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "errands",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("cluster_uid", sa.Text, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("result", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_errands"),
        sa.ForeignKeyConstraint(
            ["cluster_uid"], ["clusters.uid"], name="fk_errands_cluster_uid", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_errands_cluster_uid", "errands", ["cluster_uid"])
    op.create_index("ix_errands_shard", "errands", ["shard"])
