"""Every setting of the hub, read from the environment in this one place.

Each field of `Settings` is the variable `PULLPASS_` + its name; docs/reference/settings.md describes them, and a
test holds the two equal. A value that cannot be read ends the program with a sentence that names the variable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path

import click
from environs import Env, EnvError, validate

from schemas.version import __version__

DEFAULT_PORT = 8080
_PRINCIPAL = re.compile(r"arn:aws(-[a-z]+)*:iam::[0-9]{12}:(role|user)/[!-~]{1,576}", re.ASCII)
_ROLE_NAME = re.compile(r"([!-.0-9;-~]{1,100}/){0,4}[A-Za-z0-9_+=,.@-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Settings:
    """The hub's settings; `data_directory` holds what is not placed elsewhere (database, key, sandbox)."""

    data_directory: Path
    database_url: str
    sealing_keys: str | None
    sealing_key_file: Path
    host: str
    port: int
    threads: int
    public_url: str | None
    bootstrap_token: str | None
    bootstrap_org: str
    trust_policy_quota: int
    aws_principal: str | None
    iam_check_role: str | None
    allow_loopback: bool
    agent_image: str
    workers: int
    failing_workers: int
    look_seconds: float
    reconcile_seconds: float
    audit_days: int
    metrics_port: int
    log_level: str


def variable(field_name: str) -> str:
    """The environment variable of a field: `port` → `PULLPASS_PORT`."""
    return f"PULLPASS_{field_name.upper()}"


VARIABLES = tuple(variable(field.name) for field in fields(Settings))


def read() -> Settings:
    """The settings of this process.

    Raises:
        click.UsageError: a variable's value cannot be read; the message names it.
    """
    env = Env()
    try:
        with env.prefixed("PULLPASS_"):
            data = Path(env.str("DATA_DIRECTORY", "") or ".data")
            return Settings(
                data_directory=data,
                database_url=env.str("DATABASE_URL", "") or f"sqlite:///{data.absolute()}/pullpass.db",
                sealing_keys=env.str("SEALING_KEYS", "") or None,
                sealing_key_file=Path(env.str("SEALING_KEY_FILE", "") or data / "sealing.key"),
                host=env.str("HOST", "127.0.0.1"),
                port=env.int("PORT", DEFAULT_PORT, validate=validate.Range(0, 65535)),
                threads=env.int("THREADS", 16, validate=validate.Range(1, 256)),
                public_url=_public_url(env.str("PUBLIC_URL", "")),
                bootstrap_token=env.str("BOOTSTRAP_TOKEN", "") or None,
                bootstrap_org=env.str("BOOTSTRAP_ORG", "acme"),
                trust_policy_quota=env.int("TRUST_POLICY_QUOTA", 2048, validate=validate.Range(2048, 8192)),
                aws_principal=_principal(env.str("AWS_PRINCIPAL", "")),
                iam_check_role=_role_name(env.str("IAM_CHECK_ROLE", "")),
                allow_loopback=env.bool("ALLOW_LOOPBACK", False),
                agent_image=env.str("AGENT_IMAGE", f"pullpass:{__version__}"),
                workers=env.int("WORKERS", 16, validate=validate.Range(1, 256)),
                failing_workers=env.int("FAILING_WORKERS", 4, validate=validate.Range(1, 256)),
                look_seconds=env.float("LOOK_SECONDS", 300.0, validate=validate.Range(1, 86400)),
                reconcile_seconds=env.float("RECONCILE_SECONDS", 60.0, validate=validate.Range(1, 3600)),
                audit_days=env.int("AUDIT_DAYS", 400, validate=validate.Range(0, 36500)),
                metrics_port=env.int("METRICS_PORT", 0, validate=validate.Range(0, 65535)),
                log_level=env.str(
                    "LOG_LEVEL", "info", validate=validate.OneOf(["debug", "info", "warning", "error"])
                ),
            )
    except EnvError as error:
        raise click.UsageError(str(error)) from None


def _public_url(text: str) -> str | None:
    if not text:
        return None
    if not text.startswith("https://"):
        raise click.UsageError(
            f"PULLPASS_PUBLIC_URL must be an https:// address, because AWS reads it; it is {text!r}"
        )
    return text.rstrip("/")


def _role_name(text: str) -> str | None:
    if text and _ROLE_NAME.fullmatch(text) is None:
        raise click.UsageError(
            "PULLPASS_IAM_CHECK_ROLE must be the name of an IAM role, the same in every account (with a path: PATH/NAME),"
            f" not an ARN; it is {text!r}"
        )
    return text or None


def _principal(text: str) -> str | None:
    if not text:
        return None
    if _PRINCIPAL.fullmatch(text) is None:
        raise click.UsageError(
            "PULLPASS_AWS_PRINCIPAL must be the ARN of the hub's own IAM role or user (not of a session),"
            f" as it stands in trust policies; it is {text!r}"
        )
    return text
