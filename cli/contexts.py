"""The hubs that a person signed in to: name, address, organisation and token, in one file of mode 0600.

`$XDG_CONFIG_HOME/pullpass/config.json` (`~/.config/…`). JSON, because every command reads it and nothing reads it
faster. Written by `pullpass login` and `pullpass contexts`, read by `cli.session`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click


@dataclass(frozen=True)
class Hub:
    """One hub and who one is there."""

    endpoint: str
    org: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Contexts:
    """Hubs by the names that a person gave them; `current` is used where none is named."""

    hubs: Mapping[str, Hub] = field(default_factory=dict)
    current: str | None = None


def path() -> Path:
    """Where the file is."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "pullpass" / "config.json"


def read() -> Contexts:
    """What is stored; nothing yet is fine.

    Raises:
        click.ClickException: the file cannot be read or is no such file.
    """
    file = path()
    try:
        document = json.loads(file.read_bytes())
        hubs = {
            name: Hub(hub["endpoint"], hub["org"], hub["token"]) for name, hub in document["hubs"].items()
        }
        return Contexts(hubs, document.get("current"))
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise click.ClickException(
            f"{file} cannot be understood; move it away and run `pullpass login` again"
        ) from error


def write(contexts: Contexts) -> None:
    """Replaces the file whole, readable by its owner alone.

    Raises:
        click.ClickException: it cannot be written.
    """
    file = path()
    document = {
        "current": contexts.current,
        "hubs": {
            name: {"endpoint": hub.endpoint, "org": hub.org, "token": hub.token}
            for name, hub in contexts.hubs.items()
        },
    }
    new = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(json.dumps(document, indent=2) + "\n")
        new.replace(file)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
