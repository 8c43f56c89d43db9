"""The dockerconfigjson of a pull secret."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from aws.credentials import RegistryCredential
from aws.docker_config import docker_config

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
CREDENTIAL = RegistryCredential(
    region="eu-west-1",
    username="AWS",
    password="pass:word",
    issued_at=NOW,
    expires_at=NOW + timedelta(hours=12),
)


def test_each_host_has_user_password_and_both_together() -> None:
    auth = base64.b64encode(b"AWS:pass:word").decode()
    entry = {"username": "AWS", "password": "pass:word", "auth": auth}
    document = json.loads(docker_config({"b.example": CREDENTIAL, "*.a.example": CREDENTIAL}))
    assert {"auths": {"*.a.example": entry, "b.example": entry}} == document


def test_equal_contents_give_equal_bytes() -> None:
    one = docker_config({"a": CREDENTIAL, "b": CREDENTIAL})
    assert one == docker_config({"b": CREDENTIAL, "a": CREDENTIAL})


def test_no_credentials_give_no_document() -> None:
    with pytest.raises(ValueError, match="without credentials"):
        docker_config({})
