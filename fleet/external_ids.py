"""The external id of each organisation: what the hub sends whenever it assumes a role for one of its clusters.

Many organisations share the hub's one AWS identity. A role that asks for its own organisation's external id cannot be
borrowed by another one that names it, because nobody chooses what the hub sends
(https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html). It is no secret: it stands in trust policies.
Called by `addon_api`, which shows it, and by `controller`, which sends it.
"""

from __future__ import annotations

from sqlalchemy import bindparam, select

from fleet import tables
from fleet.database import Database, insert_or_ignore

_columns = tables.external_ids.c
_OF_ORGANISATION = select(_columns.external_id).where(_columns.org == bindparam("org"))


def of_organisation(database: Database, org: str) -> str:
    """128 random bits, made when they are first asked for, and the same ever after."""
    with database.read() as session:
        found: str | None = session.execute(_OF_ORGANISATION, {"org": org}).scalar_one_or_none()
    if found is not None:
        return found
    with database.write() as session:
        # Somebody else may have been first: theirs counts.
        insert_or_ignore(
            session, tables.external_ids, {"org": org, "external_id": f"pullpass-{tables.new_id()}"}
        )
        made: str = session.execute(_OF_ORGANISATION, {"org": org}).scalar_one()
    return made
