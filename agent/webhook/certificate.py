"""The webhooks' serving certificate and the authorities that vouch for it, as they stand in a Secret. Pure.

Each certificate has an authority of its own, whose key is thrown away once it has signed: there is no key to steal that
could make another one, and an authority is worth nothing any more when its certificate has expired. So an old one is
simply trusted until then, however long somebody goes on serving the old certificate.

API servers show webhooks no certificate of their own. So the path that they call ends in a word that only they can know
(it stands in our MutatingWebhookConfigurations): without it any pod could ask for the credentials of a labelled secret.

Called by `agent.webhook.certificates`; `Serving` goes to `agent.webhook.server`.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kube.objects import SECRET, Object
from schemas.agent_documents import NAMESPACE_NAME, SERVICE_NAME, WEBHOOK_SECRET_NAME

NAMES = (
    f"{SERVICE_NAME}.{NAMESPACE_NAME}.svc",
    f"{SERVICE_NAME}.{NAMESPACE_NAME}.svc.cluster.local",
)
TYPE = "kubernetes.io/tls"
LIFE = timedelta(days=90)
# Clocks of API servers may be behind ours.
_BACKDATED = timedelta(hours=1)
_COMMON_NAME = "Pullpass webhook"

_CERTIFICATE, _KEY, _AUTHORITIES = "tls.crt", "tls.key", "ca.crt"
_NEXT_CERTIFICATE, _NEXT_KEY = "next.crt", "next.key"
_WORD = "path-word"
_WORD_BYTES = 32  # in hex: the API server takes paths of lower case letters and digits only
# What parsing bytes that are no certificate or key of ours ends in.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class Spoiled(Exception):
    """What stands in the Secret cannot be served; the message says why."""


@dataclass(frozen=True)
class Serving:
    """A certificate and its key, in PEM; `begins_at` and `expires_at` are the certificate's. `word` ends every path."""

    certificate: bytes
    key: bytes = field(repr=False)
    begins_at: datetime
    expires_at: datetime
    word: str = field(repr=False)

    @property
    def due_at(self) -> datetime:
        """When the next one is to be made: after two thirds of its life."""
        return self.begins_at + (self.expires_at - self.begins_at) * 2 / 3


@dataclass(frozen=True)
class Kept:
    """What the Secret holds: what is served, what will be served next, and who vouches for both, in PEM."""

    serving: Serving
    authorities: tuple[bytes, ...]
    upcoming: Serving | None = None

    @property
    def bundle(self) -> bytes:
        """`caBundle`, before base64."""
        return b"".join(self.authorities)


def first(now: datetime, last: Kept | None = None, *, same_word: bool = True) -> Kept:
    """A new certificate to be served at once; `last` may still be served by somebody, so it stays trusted."""
    word = last.serving.word if last is not None and same_word else secrets.token_hex(_WORD_BYTES)
    authority, serving = _issue(now, word)
    return Kept(serving, (authority, *_alive(last.authorities if last is not None else (), now)))


def with_next(kept: Kept, now: datetime) -> Kept:
    """The next certificate, whose authority is trusted before the certificate is served."""
    authority, upcoming = _issue(now, kept.serving.word)
    return Kept(kept.serving, (authority, *_alive(kept.authorities, now)), upcoming)


def promoted(kept: Kept) -> Kept:
    """The next certificate is served from now on. The old one's authority stays.

    Raises:
        ValueError: there is none.
    """
    if kept.upcoming is None:
        raise ValueError("there is no next certificate")
    return Kept(kept.upcoming, kept.authorities)


def without_dead(kept: Kept, now: datetime) -> Kept:
    """Without the authorities of certificates that have expired."""
    return replace(kept, authorities=tuple(_alive(kept.authorities, now)))


def secret(kept: Kept) -> Object:
    """The Secret that keeps it."""
    data = {
        _CERTIFICATE: kept.serving.certificate,
        _KEY: kept.serving.key,
        _AUTHORITIES: kept.bundle,
        _WORD: kept.serving.word.encode(),
    }
    if kept.upcoming is not None:
        data |= {_NEXT_CERTIFICATE: kept.upcoming.certificate, _NEXT_KEY: kept.upcoming.key}
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            "name": WEBHOOK_SECRET_NAME,
            "namespace": NAMESPACE_NAME,
            "labels": {"app.kubernetes.io/managed-by": "pullpass"},
        },
        "type": TYPE,
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def read(obj: Object, now: datetime) -> Kept:
    """What a Secret keeps.

    Raises:
        Spoiled: its certificate is not for `NAMES`, has expired, does not go with its key, or nobody vouches for it.
    """
    if obj.get("type") != TYPE:
        raise Spoiled(f"its type is {obj.get('type')}")
    data = obj.get("data") or {}
    try:
        decoded = {key: base64.b64decode(value, validate=True) for key, value in data.items()}
        authorities = x509.load_pem_x509_certificates(decoded[_AUTHORITIES])
        word = _word(decoded[_WORD])
        serving = _serving(decoded[_CERTIFICATE], decoded[_KEY], authorities, now, word)
    except KeyError as error:
        raise Spoiled(f"{error.args[0]} is missing") from None
    except _UNREADABLE:
        raise Spoiled("it holds no certificate, key and authorities in PEM") from None
    upcoming = None
    if _NEXT_CERTIFICATE in decoded and _NEXT_KEY in decoded:
        try:
            upcoming = _serving(decoded[_NEXT_CERTIFICATE], decoded[_NEXT_KEY], authorities, now, word)
        except (Spoiled, *_UNREADABLE):
            upcoming = None  # another next one is made
    return Kept(serving, tuple(_pem(authority) for authority in authorities), upcoming)


def _issue(now: datetime, word: str) -> tuple[bytes, Serving]:
    begins_at = now.replace(microsecond=0)
    expires_at = begins_at + LIFE
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # A name of its own: with two authorities of one name some verifiers try only the first.
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{_COMMON_NAME} {serial:x}"[:64])])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _COMMON_NAME)])

    def begun(of: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(of)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins_at - _BACKDATED)
            .not_valid_after(expires_at)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )

    authority = (
        begun(issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        begun(subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _pem(authority), Serving(_pem(certificate), key_pem, begins_at, expires_at, word)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _serving(
    certificate_pem: bytes,
    key_pem: bytes,
    authorities: Sequence[x509.Certificate],
    now: datetime,
    word: str,
) -> Serving:
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    key = serialization.load_pem_private_key(key_pem, password=None)
    begins_at, expires_at = certificate.not_valid_before_utc + _BACKDATED, certificate.not_valid_after_utc
    if now >= expires_at:
        raise Spoiled("its certificate has expired")
    if now < certificate.not_valid_before_utc:
        raise Spoiled("its certificate is not valid yet")
    if expires_at - begins_at > LIFE:
        raise Spoiled("its certificate lives longer than those that Pullpass makes")
    if _public_bytes(certificate.public_key()) != _public_bytes(key.public_key()):
        raise Spoiled("its key is not the certificate's")
    if not {*NAMES} <= _names(certificate):
        raise Spoiled("its certificate is for other names")
    if not any(_vouches(authority, certificate, now) for authority in authorities):
        raise Spoiled("no authority in it vouches for its certificate")
    return Serving(certificate_pem, key_pem, begins_at, expires_at, word)


def _word(text: bytes) -> str:
    word = text.decode("ascii")
    if re.fullmatch(r"[0-9a-f]{64}", word) is None:
        raise Spoiled(f"{_WORD} is not what Pullpass makes")
    return word


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return {*names.get_values_for_type(x509.DNSName)}
    except x509.ExtensionNotFound:
        return set()


def _vouches(authority: x509.Certificate, certificate: x509.Certificate, now: datetime) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (*_UNREADABLE, InvalidSignature, x509.ExtensionNotFound):
        return False
    return constraints.ca and authority.not_valid_before_utc <= now < authority.not_valid_after_utc


def _alive(authorities: Iterable[bytes], now: datetime) -> list[bytes]:
    return [pem for pem in authorities if now < x509.load_pem_x509_certificate(pem).not_valid_after_utc]


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _public_bytes(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded
