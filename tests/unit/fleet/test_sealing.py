"""Sealed bytes and the file of keys."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import FleetError, SealBroken
from fleet.sealing import Sealer

KEY, OTHER = b"k" * 32, b"o" * 32


@given(plain=st.binary(), row=st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_opens_in_its_row(plain: bytes, row: str) -> None:
    sealer = Sealer((KEY,))

    assert plain == sealer.open(sealer.seal(plain, row=row), row=row)


@given(plain=st.binary(min_size=1), flip=st.integers(min_value=0))
def test_one_changed_bit_anywhere_opens_nothing(plain: bytes, flip: int) -> None:
    sealer = Sealer((KEY,))
    sealed = bytearray(sealer.seal(plain, row="a"))
    position = flip % (len(sealed) * 8)
    sealed[position // 8] ^= 1 << (position % 8)

    with pytest.raises(SealBroken):
        sealer.open(bytes(sealed), row="a")


@given(cut=st.integers(min_value=0, max_value=40))
def test_cut_bytes_open_nothing(cut: int) -> None:
    sealer = Sealer((KEY,))

    with pytest.raises(SealBroken):
        sealer.open(sealer.seal(b"plain words", row="a")[:cut], row="a")


def test_another_row_opens_nothing() -> None:
    sealer = Sealer((KEY,))

    with pytest.raises(SealBroken):
        sealer.open(sealer.seal(b"plain", row="a"), row="b")


def test_an_older_key_still_opens() -> None:
    sealed = Sealer((OTHER,)).seal(b"plain", row="a")

    assert b"plain" == Sealer((KEY, OTHER)).open(sealed, row="a")


def test_a_key_we_do_not_have_opens_nothing() -> None:
    sealed = Sealer((OTHER,)).seal(b"plain", row="a")

    with pytest.raises(SealBroken, match="not in the key file"):
        Sealer((KEY,)).open(sealed, row="a")


def test_the_first_key_seals() -> None:
    sealer = Sealer((KEY, OTHER))

    assert sealer.is_newest(sealer.seal(b"plain", row="a"))
    assert not sealer.is_newest(Sealer((OTHER,)).seal(b"plain", row="a"))


def test_the_same_words_never_seal_to_the_same_bytes() -> None:
    sealer = Sealer((KEY,))

    assert sealer.seal(b"plain", row="a") != sealer.seal(b"plain", row="a")


def test_nothing_shows_a_key() -> None:
    sealer = Sealer((KEY,))

    assert "kkkk" not in repr(sealer)


@pytest.mark.parametrize("keys", [(), (b"short",), (KEY, b"short")])
def test_a_key_of_another_length_is_refused(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(FleetError, match="32 bytes"):
        Sealer(keys)


def test_an_absent_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys"

    sealed = Sealer.from_file(path).seal(b"plain", row="a")

    assert 0o600 == path.stat().st_mode & 0o777
    assert 32 == len(base64.b64decode(path.read_text()))
    assert b"plain" == Sealer.from_file(path).open(sealed, row="a")
    assert [path] == list(path.parent.iterdir())


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        sealers = list(pool.map(lambda _: Sealer.from_file(tmp_path / "keys"), range(8)))

    sealed = sealers[0].seal(b"plain", row="a")
    assert [b"plain"] * 8 == [sealer.open(sealed, row="a") for sealer in sealers]
    assert [tmp_path / "keys"] == list(tmp_path.iterdir())


def test_a_file_with_a_newer_key_in_front_opens_what_the_older_sealed(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    sealed = Sealer.from_file(path).seal(b"plain", row="a")
    path.write_text(base64.b64encode(KEY).decode() + "\n" + path.read_text())

    sealer = Sealer.from_file(path)

    assert b"plain" == sealer.open(sealed, row="a")
    assert not sealer.is_newest(sealed)


@pytest.mark.parametrize("between", [",", "\n", " ,\n"])
def test_the_keys_of_a_setting_stand_one_after_the_other(between: str) -> None:
    text = between.join(base64.b64encode(key).decode() for key in (KEY, OTHER))

    sealer = Sealer.from_text(text)

    assert sealer.is_newest(Sealer((KEY,)).seal(b"plain", row="a"))
    assert b"plain" == sealer.open(Sealer((OTHER,)).seal(b"plain", row="a"), row="a")


def test_a_file_open_to_everybody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    Sealer.from_file(path)
    path.chmod(0o644)

    with pytest.raises(FleetError, match="chmod 600"):
        Sealer.from_file(path)


@pytest.mark.parametrize("text", ["", "no base64!", "c2hvcnQ=", "\u00fc"])
def test_a_file_without_proper_keys_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(FleetError, match="base64 keys of 32 bytes") as refused:
        Sealer.from_file(path)

    assert not text or text not in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="cannot be read"):
        Sealer.from_file(tmp_path)
