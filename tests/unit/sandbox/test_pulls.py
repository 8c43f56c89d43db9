"""Which pull secrets fit an image, by the kubelet's rules."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandbox.pulls import is_private_ecr, matching_logins

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def docker_config(*patterns: str) -> dict[str, Any]:
    """Each pattern's password is the pattern itself."""
    return {"auths": {one: {"auth": base64.b64encode(f"AWS:{one}".encode()).decode()} for one in patterns}}


@pytest.mark.parametrize(
    "pattern",
    [
        HOST,
        f"https://{HOST}",
        "*.dkr.ecr.eu-west-1.amazonaws.com",
        "*.dkr.ecr.*.amazonaws.com",
        f"{HOST}/team",
    ],
)
def test_a_pattern_fits(pattern: str) -> None:
    assert [("AWS", pattern)] == matching_logins(f"{HOST}/team/app:1", [docker_config(pattern)])


@pytest.mark.parametrize(
    "pattern",
    [
        "*.dkr.ecr.us-east-1.amazonaws.com",
        "*.amazonaws.com",
        f"{HOST}/other",
        f"{HOST}.cn",
    ],
)
def test_a_pattern_does_not_fit(pattern: str) -> None:
    assert [] == matching_logins(f"{HOST}/team/app:1", [docker_config(pattern)])


def test_the_exact_host_is_tried_before_the_glob() -> None:
    glob = "*.dkr.ecr.eu-west-1.amazonaws.com"

    assert [("AWS", HOST), ("AWS", glob)] == matching_logins(f"{HOST}/app", [docker_config(glob, HOST)])


def test_a_login_may_stand_in_the_clear() -> None:
    config = {"auths": {HOST: {"username": "AWS", "password": "secret"}}}

    assert [("AWS", "secret")] == matching_logins(f"{HOST}/app", [config])


@pytest.mark.parametrize(
    ("image", "private"),
    [(f"{HOST}/app:1", True), ("nginx", False), ("public.ecr.aws/nginx", False), ("example.com/app", False)],
)
def test_private_images_are_told_by_their_host(image: str, private: bool) -> None:
    assert private == is_private_ecr(image)
