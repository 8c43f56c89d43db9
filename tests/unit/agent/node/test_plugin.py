from __future__ import annotations

from pathlib import Path

import pytest

from agent.node import plugin
from agent.node.distributions import Layout
from agent.node.host import FakeHost, HostError, Result

LAYOUT = Layout("kubeadm", "kubelet.service", "/plugins", "/config.yaml")
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/app"


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        (
            "api error InvalidIdentityToken: No OpenIDConnect provider found in your account",
            "OidcProviderMissing",
        ),
        ("api error InvalidIdentityToken: Incorrect token audience", "AudienceNotAllowed"),
        ("Token audience contains more than one audience", "AudienceAmbiguous"),
        ("Couldn't retrieve verification key from your identity provider", "VerificationKeyUnavailable"),
        ("AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity", "TrustPolicyMismatch"),
        ("ExpiredTokenException: Token expired", "TokenExpired"),
        ("IDPCommunicationError", "IdentityProviderUnreachable"),
        ("IDPRejectedClaim", "ClaimRejected"),
        ("RegionDisabledException", "StsRegionDisabled"),
        ("not authorized to perform: ecr:GetAuthorizationToken", "EcrAccessDenied"),
        ("unable to read file at /var/lib/pullpass/token", "TokenUnreadable"),
        ("operation error STS: dial tcp 127.0.0.1:9: connection refused", "StsUnreachable"),
        ("operation error ECR: dial tcp: lookup api.ecr: no such host", "EcrUnreachable"),
        ("operation error STS: Throttling", "StsRefused"),
        ("something else", "EcrRefused"),
    ],
)
def test_what_aws_says_is_named(tmp_path: Path, errors: str, code: str) -> None:
    line = f"E1122 06:59 1 main.go:364] Error running credential provider plugin: {errors}\n"
    host = FakeHost(
        tmp_path,
        lambda command: Result(1, "", line) if command[0].startswith("/plugins") else Result(0, "", ""),
    )
    found = plugin.verify(host, LAYOUT, {}, IMAGE)
    assert (False, code, errors) == (found.ok, found.code, found.message)


def test_a_plugin_that_hangs_is_told(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, lambda _command: Result(124, "", "took longer"))
    assert "within 60 s" in plugin.verify(host, LAYOUT, {}, IMAGE).message


@pytest.mark.parametrize("output", ["", "{}", '{"auth": {}}'])
def test_an_answer_without_credentials_is_none(tmp_path: Path, output: str) -> None:
    host = FakeHost(tmp_path, lambda _command: Result(0, output, ""))
    assert "EcrRefused" == plugin.verify(host, LAYOUT, {}, IMAGE).code


def test_selinux_is_told_that_it_is_a_program(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    for folder in ("/plugins", "/sys/fs/selinux"):
        host.make_directory(folder)
    host.write("/sys/fs/selinux/enforce", b"1")
    (tmp_path / "plugin").write_bytes(b"x")
    plugin.put(host, LAYOUT, tmp_path / "plugin")
    assert ["chcon", "-t", "bin_t", plugin.path(LAYOUT)] in host.commands


def test_a_program_that_cannot_run_does_not_stay(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host", lambda _command: Result(126, "", "Exec format error"))
    host.make_directory("/plugins")
    (tmp_path / "plugin").write_bytes(b"x")
    with pytest.raises(HostError, match="Exec format error"):
        plugin.put(host, LAYOUT, tmp_path / "plugin")
    assert [] == host.names("/plugins")
