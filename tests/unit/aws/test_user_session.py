"""A person's own credentials: found as the AWS CLI finds them, and told in words what is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore import credentials as botocore_credentials

from aws.setup.failures import SetupFailure
from aws.user_session import open_session
from tests.support.aws import AwsUnderTest, served

ACCOUNT = "210987654321"
LOGIN = """\
[profile person]
login_session = arn:aws:iam::210987654321:user/ann
region = eu-west-1
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A person without credentials, and the sandbox's STS."""
    under_test = AwsUnderTest()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with served(under_test.aws.wsgi_app) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"{url}/sts")
        yield tmp_path


def aws_cli(home: Path, script: str) -> None:
    """An AWS CLI that answers with `script`, and keeps what it was asked."""
    program = home / "aws"
    program.write_text(f'#!/bin/sh\necho "$@" > {home}/asked\n{script}\n')
    program.chmod(0o755)


def test_the_environment_is_taken_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCOUNT)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    session = open_session()
    assert (ACCOUNT, "aws", None) == (session.account, session.partition, session.region)


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_environments_region_counts(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCOUNT)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv(name, "eu-west-3")
    assert "eu-west-3" == open_session().region


def test_a_profile_brings_its_region(home: Path) -> None:
    keys = f"aws_access_key_id = {ACCOUNT}\naws_secret_access_key = any\n"
    (home / "config").write_text(f"[profile person]\n{keys}region = eu-west-1\n")
    assert "eu-west-1" == open_session(profile="person").region
    assert "us-east-2" == open_session(profile="person", region="us-east-2").region


def test_without_credentials_it_says_where_they_may_come_from(home: Path) -> None:
    with pytest.raises(SetupFailure, match="run `aws login` or `aws configure`"):
        open_session()


def test_a_profile_that_is_not_there_is_named(home: Path) -> None:
    with pytest.raises(SetupFailure, match=r"nobody.*aws configure list-profiles"):
        open_session(profile="nobody")


def test_credentials_that_aws_does_not_know_are_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with pytest.raises(SetupFailure, match="InvalidClientTokenId") as caught:
        open_session()
    assert "sts:GetCallerIdentity" == caught.value.action


@pytest.fixture
def login(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A profile of `aws login`, and no native library for it."""
    monkeypatch.setattr(botocore_credentials, "EC", None)
    (home / "config").write_text(LOGIN)
    return home


def test_a_login_is_read_through_the_aws_cli(login: Path) -> None:
    aws_cli(login, f"""echo '{{"Version": 1, "AccessKeyId": "{ACCOUNT}", "SecretAccessKey": "any"}}'""")
    session = open_session(profile="person")
    assert (ACCOUNT, "eu-west-1") == (session.account, session.region)
    asked = (login / "asked").read_text().split()
    assert ["configure", "export-credentials", "--format", "process", "--profile", "person"] == asked


def test_a_login_without_the_aws_cli_says_what_it_needs(login: Path) -> None:
    with pytest.raises(SetupFailure, match=r"have the AWS CLI .* in PATH.* or install botocore\[crt\]"):
        open_session(profile="person")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'Your session has expired, run aws login' >&2; exit 255", "has expired"),
        ("echo no json", "failed"),
    ],
)
def test_a_login_that_has_ended_is_told_in_the_clis_words(login: Path, script: str, words: str) -> None:
    aws_cli(login, script)
    with pytest.raises(SetupFailure, match=words):
        open_session(profile="person")


def test_a_login_that_ended_long_ago_says_to_log_in_again(login: Path) -> None:
    (login / "config").write_text(
        "[profile person]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n"
        "[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://a.awsapps.com/start\n"
    )
    with pytest.raises(SetupFailure, match="aws sso login"):
        open_session(profile="person")
