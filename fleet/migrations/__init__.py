"""The steps from one schema to the next, in `versions/`; `Database.migrate` runs them at start, under a lock.

A step must work while the previous release of Pullpass is still running: add columns and tables in one release,
take them away in a later one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection as Session


def upgrade(session: Session) -> None:
    """Takes the schema to the newest revision inside the transaction that `session` is in."""
    scripts = ScriptDirectory(str(Path(__file__).parent))

    def steps(revision: Any, _: MigrationContext) -> list[RevisionStep]:
        return scripts._upgrade_revs("head", revision)  # noqa: SLF001 - what `alembic upgrade head` itself calls

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=session, transactional_ddl=True)
        environment.run_migrations()
