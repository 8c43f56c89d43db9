"""What a world keeps over restarts: JSON documents in a folder, written only when they changed, and whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Keeper:
    """Documents by name under `directory`; they hold keys and tokens, so only their owner may read them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written: dict[str, str] = {}

    def read(self, name: str) -> dict[str, Any] | None:
        """A document, None when it was never written."""
        path = self._directory / f"{name}.json"
        if not path.exists():
            return None
        document: dict[str, Any] = json.loads(path.read_text())
        return document

    def write(self, name: str, document: dict[str, Any]) -> None:
        """Keeps a document."""
        self.write_text(f"{name}.json", json.dumps(document, separators=(",", ":")))

    def write_text(self, name: str, text: str) -> None:
        """Keeps a file; a reader sees the old one or the new one."""
        if self._written.get(name) == text:
            return
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        fresh.replace(path)
        self._written[name] = text

    def folder(self, name: str) -> Path:
        """A folder beside the documents."""
        path = self._directory / name
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path
