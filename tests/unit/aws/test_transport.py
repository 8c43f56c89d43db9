"""The proxy and the authorities of a call come from the settings alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from aws import transport
from aws.credentials import AwsEndpoints
from tests.support.certificates import Authority

PROXY = "http://proxy.acme.com:3128"


@pytest.mark.parametrize(
    ("url", "no_proxy", "expected"),
    [
        ("https://sts.eu-west-1.amazonaws.com", None, PROXY),
        ("https://sts.eu-west-1.amazonaws.com", "", PROXY),
        ("https://sts.eu-west-1.amazonaws.com", "localhost,.acme.com", PROXY),
        ("https://sts.eu-west-1.amazonaws.com", "localhost, .amazonaws.com", None),
        ("https://sts.eu-west-1.amazonaws.com", "amazonaws.com", None),
        ("https://sts.eu-west-1.amazonaws.com", "STS.eu-west-1.amazonaws.com", None),
        ("https://sts.eu-west-1.amazonaws.com:8443/x", "amazonaws.com", None),
        ("https://notamazonaws.com", "amazonaws.com", PROXY),
        ("https://sts.eu-west-1.amazonaws.com", "*", None),
        ("http://127.0.0.1:8080", None, None),
    ],
)
def test_no_proxy_names_hosts_and_domains(url: str, no_proxy: str | None, expected: str | None) -> None:
    assert expected == transport.proxy_for(url, AwsEndpoints(https_proxy=PROXY, no_proxy=no_proxy))


def test_the_environment_chooses_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert transport.proxy_for("https://sts.eu-west-1.amazonaws.com", AwsEndpoints()) is None


def test_own_authorities_are_added_to_the_usual_ones() -> None:
    usual = transport.tls_context(AwsEndpoints()).cert_store_stats()["x509_ca"]
    own = transport.tls_context(AwsEndpoints(ca_bundle=Authority().certificate))
    assert usual + 1 == own.cert_store_stats()["x509_ca"]


@pytest.mark.parametrize(
    "text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"]
)
def test_a_bundle_without_certificates_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="the CA bundle of this cluster's AWS settings"):
        transport.tls_context(AwsEndpoints(ca_bundle=text))


def test_the_authorities_file_is_private_and_gone_afterwards() -> None:
    with transport.authorities_file(AwsEndpoints(ca_bundle=Authority().certificate)) as name:
        assert name is not None
        path = Path(name)
        assert 0o600 == path.stat().st_mode & 0o777
    assert not path.exists()


def test_without_own_authorities_no_file_is_written() -> None:
    with transport.authorities_file(AwsEndpoints()) as name:
        assert name is None
