"""IAM's rules for an issuer: what passes, and the reason of what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.issuers import IssuerVerdict, judge


@pytest.mark.parametrize(
    "issuer",
    [
        "https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE",
        "https://pullpass.acme.com/oidc/3f9a",
        "https://pullpass.acme.com",
        "https://pullpass.acme.com/",
        "https://203.0.114.7/oidc",
        "https://storage.googleapis.com/bucket-of.ours/path",
        "https://" + "a" * 60 + ".acme.com/" + "b" * 177,
    ],
)
def test_a_public_https_issuer_is_usable(issuer: str) -> None:
    assert IssuerVerdict(usable=True) == judge(issuer)


@pytest.mark.parametrize(
    ("issuer", "reason"),
    [
        ("", "NoIssuer"),
        ("kubernetes/serviceaccount", "NotHttps"),
        ("http://pullpass.acme.com", "NotHttps"),
        ("https://", "NotAUrl"),
        ("https:///path", "NotAUrl"),
        ("https://a b.acme.com", "NotAUrl"),
        ("https://ümlaut.acme.com", "NotAUrl"),
        ("https://acme.com\n", "NotAUrl"),
        ("https://[::1", "NotAUrl"),
        ("https://acme.com:port", "NotAUrl"),
        ("https://a..acme.com", "NotAUrl"),
        ("https://" + "a" * 64 + ".acme.com", "NotAUrl"),
        ("https://kubernetes", "ClusterLocal"),
        ("https://kubernetes.default", "ClusterLocal"),
        ("https://kubernetes.default.svc", "ClusterLocal"),
        ("https://kubernetes.default.svc:443", "ClusterLocal"),
        ("https://kubernetes.default.svc.cluster.local", "ClusterLocal"),
        ("https://Kubernetes.Default.svc.cluster.local.", "ClusterLocal"),
        ("https://kubernetes.default.svc.corp.acme.com", "ClusterLocal"),
        ("https://oidc.identity.svc", "ClusterLocal"),
        ("https://oidc.identity.svc.cluster.local/x", "ClusterLocal"),
        ("https://10.0.0.1:6443", "PrivateAddress"),
        ("https://192.168.1.10", "PrivateAddress"),
        ("https://172.16.0.1/oidc", "PrivateAddress"),
        ("https://127.0.0.1:6443", "PrivateAddress"),
        ("https://169.254.169.254", "PrivateAddress"),
        ("https://100.64.0.1", "PrivateAddress"),
        ("https://[::1]:6443", "PrivateAddress"),
        ("https://[fd00::1]", "PrivateAddress"),
        ("https://[::ffff:10.0.0.1]", "PrivateAddress"),
        ("https://[fe80::1]", "PrivateAddress"),
        ("https://localhost:6443", "NotPublicName"),
        ("https://control-plane:6443", "NotPublicName"),
        ("https://api.cluster.local.", "ClusterLocal"),
        ("https://api.lab.internal", "NotPublicName"),
        ("https://nas.local", "NotPublicName"),
        ("https://api.example", "NotPublicName"),
        ("https://10.0.1", "NotPublicName"),
        ("https://user@pullpass.acme.com", "HasUserInfo"),
        ("https://user:secret@pullpass.acme.com", "HasUserInfo"),
        ("https://api.acme.com:6443", "HasPort"),
        ("https://api.acme.com:443", "HasPort"),
        ("https://api.acme.com:", "HasPort"),
        ("https://api.acme.com/?cluster=a", "HasQuery"),
        ("https://api.acme.com/?", "HasQuery"),
        ("https://api.acme.com/#a", "HasFragment"),
        ("https://api.acme.com/" + "a" * 235, "TooLong"),
    ],
)
def test_an_issuer_that_iam_cannot_use_has_its_reason(issuer: str, reason: str) -> None:
    verdict = judge(issuer)
    assert (False, reason) == (verdict.usable, verdict.reason)
    assert verdict.message


def test_the_verdict_repeats_no_password() -> None:
    assert "hunter2" not in judge("https://me:hunter2@pullpass.acme.com").message


@given(st.text())
def test_any_text_gets_a_verdict(text: str) -> None:
    judge(text)
    judge(f"https://{text}")
