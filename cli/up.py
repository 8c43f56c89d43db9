"""`pullpass up`: hub and controller on one machine, each a process of its own; with `--sandbox` a world to play in.

Ends all of it on Ctrl-C, and when one part ends. The data directory is kept, so a second start goes on.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
from pathlib import Path

import click

from cli import children, settings, wiring
from cli.settings import Settings
from fleet import sessions, tokens
from fleet.database import Database
from reconcile.stopping import told_to_stop

STOP_SECONDS = 15


@click.command()
@click.option("--sandbox", is_flag=True, help="Also start a sandbox: three clusters, an AWS and a registry.")
def up(sandbox: bool) -> None:
    """Run hub and controller together; Ctrl-C ends both."""
    stop = told_to_stop()
    token = _token(settings.read().data_directory)
    os.environ["PULLPASS_BOOTSTRAP_TOKEN"] = token
    if sandbox:
        os.environ.setdefault("PULLPASS_ALLOW_LOOPBACK", "true")
        os.environ.setdefault("PULLPASS_PUBLIC_URL", "https://pullpass.example.com")
        os.environ.setdefault("PULLPASS_LOG_LEVEL", "error")
    configured = settings.read()
    database = wiring.open_database(configured)
    wiring.bootstrap(database, configured)
    try:
        if sandbox:
            _run_with_sandbox(configured, database, stop)
        else:
            _run(
                configured,
                database,
                stop,
                hint=f"export PULLPASS_ENDPOINT={_url(configured)} PULLPASS_TOKEN={token}",
            )
    finally:
        database.close()


def _run_with_sandbox(configured: Settings, database: Database, stop: threading.Event) -> None:
    try:
        from cli import playground  # noqa: PLC0415 - the sandbox is not part of the image
    except ImportError as error:
        raise click.ClickException(
            "the sandbox comes with the source, not with the image: run `make run`"
        ) from error
    with playground.world(configured, database):
        _run(configured, database, stop, hint=playground.commands_to_try(configured))


def _run(configured: Settings, database: Database, stop: threading.Event, *, hint: str) -> None:
    parts = {command: _start(command) for command in ("serve", "controller")}
    processes = list(parts.values())
    try:
        _wait_until_served(configured, processes, stop)
        link = _sign_in_link(configured, database)
        click.echo(
            f"\nPullpass is ready. Open {link}\n(works once), or go on here:\n\n{hint}\n\nCtrl-C ends it."
        )
        while not stop.wait(0.5):
            for command, process in parts.items():
                if process.poll() is not None:
                    raise click.ClickException(f"pullpass {command} ended with code {process.returncode}")
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start(command: str) -> subprocess.Popen[bytes]:
    """One of our commands, deaf to Ctrl-C, which is ours to pass on."""
    return subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "cli", command],
        start_new_session=True,
        preexec_fn=children.bound(),  # noqa: PLW1509 - two system calls, no lock taken
    )


def _wait_until_served(
    configured: Settings, processes: list[subprocess.Popen[bytes]], stop: threading.Event
) -> None:
    import urllib3  # noqa: PLC0415 - only this command asks over HTTP

    pool = urllib3.PoolManager(retries=False, timeout=2)
    while not stop.wait(0.1) and all(process.poll() is None for process in processes):
        try:
            if pool.request("GET", f"{_url(configured)}/readyz").status == 200:  # noqa: PLR2004 - OK
                break
        except urllib3.exceptions.HTTPError:
            continue
    pool.clear()


def _sign_in_link(configured: Settings, database: Database) -> str:
    """Where a browser is signed in as the bootstrap token's owner; the link works once."""
    owner = tokens.authenticate(database, configured.bootstrap_token or "", now=wiring.now())
    if owner is None:
        return _url(configured)
    return f"{_url(configured)}/sign-in?code={sessions.make_link(database, owner, now=wiring.now())}"


def _url(configured: Settings) -> str:
    return f"http://{configured.host}:{configured.port}"


def _token(directory: Path) -> str:
    """`PULLPASS_BOOTSTRAP_TOKEN`, else the one of the last start, else a new one (file of mode 0600)."""
    given = os.environ.get("PULLPASS_BOOTSTRAP_TOKEN")
    if given:
        return given
    path = directory / "admin.token"
    if path.exists():
        return path.read_text().strip()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = f"pp_{secrets.token_urlsafe(32)}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    return token
