import base64
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.webhook import certificate
from agent.webhook.certificate import LIFE, Kept, Spoiled

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
KEPT = certificate.first(NOW)


def stored(kept: Kept = KEPT, **data: bytes | None) -> dict[str, Any]:
    obj = certificate.secret(kept)
    for name, value in data.items():
        key = name.replace("_", "-" if name.startswith("path") else ".")
        if value is None:
            del obj["data"][key]
        else:
            obj["data"][key] = base64.b64encode(value).decode()
    return obj


def test_a_new_one_is_ecdsa_on_p_256_for_the_services_names() -> None:
    made = x509.load_pem_x509_certificate(KEPT.serving.certificate)
    key = made.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ("secp256r1", list(certificate.NAMES)) == (key.curve.name, names.get_values_for_type(x509.DNSName))


def test_the_bundle_is_what_a_client_needs_to_trust() -> None:
    context = ssl.create_default_context(cadata=KEPT.bundle.decode())
    assert 1 == context.cert_store_stats()["x509_ca"]


def test_what_is_written_is_read_again() -> None:
    both = certificate.with_next(KEPT, NOW + timedelta(days=60))
    for kept in (KEPT, both, certificate.promoted(both)):
        assert kept == certificate.read(certificate.secret(kept), NOW + timedelta(days=60))


def test_the_word_is_kept_through_every_change() -> None:
    both = certificate.with_next(KEPT, NOW)
    words = {
        kept.serving.word for kept in (KEPT, both, certificate.promoted(both), certificate.first(NOW, KEPT))
    }
    assert {KEPT.serving.word} == words
    assert KEPT.serving.word != certificate.first(NOW, KEPT, same_word=False).serving.word
    assert KEPT.serving.word not in repr(KEPT)


def test_no_key_shows_in_a_repr() -> None:
    key = certificate.with_next(KEPT, NOW).serving.key
    assert repr(key)[2:-1] not in repr(KEPT)


def test_it_is_due_after_two_thirds_of_its_life() -> None:
    assert NOW + timedelta(days=60) == KEPT.serving.due_at


def test_the_next_ones_authority_is_trusted_before_it_is_served() -> None:
    both = certificate.with_next(KEPT, NOW)
    assert KEPT.serving == both.serving
    assert {*KEPT.authorities} < {*both.authorities}
    assert {*both.authorities} == {*certificate.promoted(both).authorities}


def test_an_authority_is_trusted_until_its_certificate_has_expired() -> None:
    served = certificate.promoted(certificate.with_next(KEPT, NOW + timedelta(days=60)))
    before, after = KEPT.serving.expires_at - timedelta(seconds=1), KEPT.serving.expires_at
    assert served == certificate.without_dead(served, before)
    assert {*served.authorities} - {*KEPT.authorities} == {
        *certificate.without_dead(served, after).authorities
    }


def test_nothing_is_promoted_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no next"):
        certificate.promoted(KEPT)


OTHER = certificate.first(NOW)
SPOILED = {
    "no certificate": stored(tls_crt=None),
    "no key": stored(tls_key=None),
    "no authorities": stored(ca_crt=None),
    "nonsense": stored(tls_crt=b"nonsense"),
    "another key": stored(tls_key=OTHER.serving.key),
    "another authority": stored(ca_crt=OTHER.bundle),
    "its own authority": stored(ca_crt=KEPT.serving.certificate),
    "no base64": {**stored(), "data": {**stored()["data"], "tls.crt": "%"}},
    "no word": stored(path_word=None),
    "a short word": stored(path_word=b"short"),
    "no data": {**stored(), "data": None},
    "another type": {**stored(), "type": "Opaque"},
}


@pytest.mark.parametrize("name", SPOILED)
def test_what_cannot_be_served_is_spoiled(name: str) -> None:
    with pytest.raises(Spoiled):
        certificate.read(SPOILED[name], NOW)


def test_an_expired_one_is_spoiled() -> None:
    with pytest.raises(Spoiled, match="expired"):
        certificate.read(stored(), NOW + LIFE)


def test_one_of_the_future_is_spoiled_beyond_what_clocks_differ() -> None:
    certificate.read(stored(), NOW - timedelta(minutes=59))
    with pytest.raises(Spoiled, match="not valid yet"):
        certificate.read(stored(), NOW - timedelta(minutes=61))


def test_one_for_other_names_is_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "NAMES", ("elsewhere.example",))
    foreign = certificate.secret(certificate.first(NOW))
    monkeypatch.undo()
    with pytest.raises(Spoiled, match="other names"):
        certificate.read(foreign, NOW)


def test_one_that_lives_longer_than_ours_is_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "LIFE", timedelta(days=3650))
    foreign = certificate.secret(certificate.first(NOW))
    monkeypatch.undo()
    with pytest.raises(Spoiled, match="longer"):
        certificate.read(foreign, NOW)


def test_a_next_one_that_is_spoiled_is_as_good_as_none() -> None:
    both = certificate.with_next(KEPT, NOW)
    assert certificate.read(stored(both, next_key=KEPT.serving.key), NOW).upcoming is None


def test_foreign_keys_in_the_secret_do_not_matter() -> None:
    assert KEPT == certificate.read(stored(other=b"\xff"), NOW)


@pytest.mark.parametrize("key", ["tls.crt", "ca.crt"])
def test_a_version_that_no_certificate_has_spoils_it(key: str) -> None:
    obj = stored()
    text = bytearray(base64.b64decode(obj["data"][key]))
    text[44:45] = b"a"  # within the version
    obj["data"][key] = base64.b64encode(bytes(text)).decode()
    with pytest.raises(Spoiled):
        certificate.read(obj, NOW)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # of broken bytes
@settings(deadline=None)  # other tests run beside it
@given(st.sampled_from(["tls.crt", "tls.key", "ca.crt"]), st.data())
def test_no_change_of_a_byte_raises_anything_but_spoiled(key: str, data: st.DataObject) -> None:
    obj = stored()
    text = bytearray(base64.b64decode(obj["data"][key]))
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    obj["data"][key] = base64.b64encode(bytes(text)).decode()
    try:
        read = certificate.read(obj, NOW)
    except Spoiled:
        return
    assert KEPT.serving.expires_at == replace(read).serving.expires_at
