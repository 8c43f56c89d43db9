"""Sealing: AES-256-GCM with the key's id and the row's id as associated data, and rotation.

Used by `fleet.connections`; the key file is named by `cli`. Sealed bytes are one byte of format, eight of key id,
twelve of nonce, then the ciphertext with its tag (NIST SP 800-38D; a random nonce serves 2**32 seals per key).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fleet.errors import FleetError, SealBroken

_FORMAT = b"\x01"
_KEY_BYTES = 32
_ID_BYTES = 8
_NONCE_BYTES = 12
_HEADER_BYTES = len(_FORMAT) + _ID_BYTES


class Sealer:
    """Seals with the first key, opens with whichever key's id the sealed bytes carry."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            raise FleetError(f"the encryption key must be {_KEY_BYTES} bytes")
        self._ciphers = {_header(key): AESGCM(key) for key in keys}
        self._newest = _header(keys[0])

    @classmethod
    def from_file(cls, path: Path) -> Sealer:
        """One base64 key of 32 bytes per line, newest first; made with mode 0600 when the file is absent.

        Raises:
            FleetError: the file cannot be read, is open to everybody on the machine, or holds no keys.
        """
        try:
            if not path.exists():
                _create(path)
            mode = stat.S_IMODE(path.stat().st_mode)
            text = path.read_text("ascii", errors="replace")
        except OSError as error:
            raise FleetError(f"the key file {path} cannot be read: {error.strerror}") from error
        if mode & stat.S_IRWXO:
            raise FleetError(f"the key file {path} is open to everybody (mode {mode:04o}): chmod 600 {path}")
        return cls.from_text(text, source=f"the key file {path}")

    @classmethod
    def from_text(cls, text: str, *, source: str = "the setting of the sealing keys") -> Sealer:
        """The keys of `text`, one per line or with commas between; `source` names it in the error, which shows none."""
        lines = [line.strip() for line in text.replace(",", "\n").splitlines() if line.strip()]
        keys = tuple(_decode(line) for line in lines)
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            raise FleetError(
                f"{source} must hold base64 keys of {_KEY_BYTES} bytes, one per line, newest first"
            )
        return cls(keys)

    def seal(self, plain: bytes, *, row: str) -> bytes:
        """`plain`, bound to `row`: the bytes of one row never open in another."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = self._ciphers[self._newest]
        return self._newest + nonce + cipher.encrypt(nonce, plain, self._newest + row.encode())

    def open(self, sealed: bytes, *, row: str) -> bytes:
        """Raises `fleet.errors.SealBroken` for a wrong key, row or byte."""
        header = sealed[:_HEADER_BYTES]
        cipher = self._ciphers.get(header)
        if cipher is None:
            raise SealBroken("sealed with a key that is not in the key file")
        nonce = sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES + _NONCE_BYTES :], header + row.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken("the sealed bytes were changed, or belong to another row") from error

    def is_newest(self, sealed: bytes) -> bool:
        """Whether the newest key sealed it: `fleet.connections.reseal` leaves such a row alone."""
        return sealed.startswith(self._newest)


def _header(key: bytes) -> bytes:
    """Format and key id: the start of what the key seals, and a part of the associated data."""
    return _FORMAT + hashlib.sha256(b"pullpass key id\0" + key).digest()[:_ID_BYTES]


def _decode(line: str) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _create(path: Path) -> None:
    """Makes the file whole or not at all, however many processes start at once: the first one's key stands."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
