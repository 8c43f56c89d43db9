"""How the parts are put together from the settings: shared by the commands that run the hub."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from cli.settings import Settings
from fleet import tokens
from fleet.database import Database
from fleet.errors import FleetError
from fleet.records import Role
from fleet.sealing import Sealer
from reconcile.clock import SystemClock
from schemas.errors import Conflict

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from addon_api.app import ApiSettings
    from controller.engine import ControllerSettings


def now() -> datetime:
    """The time, for the commands that are no loop."""
    return SystemClock().now()


def open_database(settings: Settings) -> Database:
    """The fleet's database, migrated; the sealing key is made when there is none yet.

    Raises:
        click.ClickException: the key file or the database cannot be used; the message says which.
    """
    try:
        settings.data_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if settings.sealing_keys is not None:
            sealer = Sealer.from_text(settings.sealing_keys)
        else:
            sealer = Sealer.from_file(settings.sealing_key_file)
        database = Database(settings.database_url, sealer=sealer)
        database.migrate()
    except (FleetError, OSError) as error:
        raise click.ClickException(str(error)) from error
    return database


def bootstrap(database: Database, settings: Settings) -> None:
    """Makes the token of `PULLPASS_BOOTSTRAP_TOKEN` an admin of its organisation; again: nothing changes.

    Raises:
        click.ClickException: the token was revoked, or is another organisation's.
    """
    if settings.bootstrap_token is None:
        return
    try:
        tokens.issue(
            database,
            org=settings.bootstrap_org,
            role=Role.ADMIN,
            name="bootstrap",
            now=now(),
            text=settings.bootstrap_token,
        )
    except Conflict as refusal:
        raise click.ClickException(f"PULLPASS_BOOTSTRAP_TOKEN: {refusal.message}") from None


def api_settings(settings: Settings) -> ApiSettings:
    """What the API needs to know."""
    from addon_api.app import ApiSettings  # noqa: PLC0415 - Flask is not loaded for the other commands

    return ApiSettings(
        public_url=settings.public_url,
        trust_policy_quota=settings.trust_policy_quota,
        aws_principal=settings.aws_principal,
        allow_loopback=settings.allow_loopback,
    )


def hub_app(database: Database, settings: Settings) -> WSGIApplication:
    """API and console behind one address: the console has the few paths that are its own, the API all others."""
    from addon_api.app import create_app  # noqa: PLC0415 - as above
    from web.app import SEGMENTS, create_console  # noqa: PLC0415 - as above

    api = create_app(database, api_settings(settings), now=now)
    console = create_console(database, api, now=now)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        first = environ.get("PATH_INFO", "").lstrip("/").split("/", 1)[0]
        chosen = console if first in SEGMENTS else api
        return chosen(environ, start_response)

    return app


def controller_settings(settings: Settings) -> ControllerSettings:
    """What the controller needs to know."""
    from controller.engine import ControllerSettings  # noqa: PLC0415 - nor the cluster client

    return ControllerSettings(
        agent_image=settings.agent_image,
        public_url=settings.public_url,
        aws_principal=settings.aws_principal,
        iam_check_role=settings.iam_check_role,
        trust_policy_quota=settings.trust_policy_quota,
        allow_loopback=settings.allow_loopback,
        workers=settings.workers,
        failing_workers=settings.failing_workers,
        look_seconds=settings.look_seconds,
        reconcile_seconds=settings.reconcile_seconds,
        audit_days=settings.audit_days,
    )
