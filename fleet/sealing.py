"""Sealing: AES-256-GCM with the key's id and the row's id as associated data, and rotation."""

from __future__ import annotations

from pathlib import Path


class Sealer:
    """Seals with the first key, opens with whichever key's id the sealed bytes carry."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        raise NotImplementedError

    @classmethod
    def from_file(cls, path: Path) -> Sealer:
        """One base64 key of 32 bytes per line, newest first; made with mode 0600 when the file is absent."""
        raise NotImplementedError

    def seal(self, plain: bytes, *, row: str) -> bytes:
        """`plain`, bound to `row`: the bytes of one row never open in another."""
        raise NotImplementedError

    def open(self, sealed: bytes, *, row: str) -> bytes:
        """Raises `fleet.errors.SealBroken` for a wrong key, row or byte."""
        raise NotImplementedError
