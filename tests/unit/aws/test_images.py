"""Image references: what a registry is asked for."""

from __future__ import annotations

import pytest

from aws.images import parse_image

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "repository", "reference"),
    [
        (f"{HOST}/app", "app", "latest"),
        (f"{HOST}/team/app:1.0", "team/app", "1.0"),
        (f"{HOST}:443/team/app:1.0", "team/app", "1.0"),
        (f"{HOST}/app@{DIGEST}", "app", DIGEST),
        (f"{HOST}/a.b/c__d/e-f:v1@{DIGEST}", "a.b/c__d/e-f", DIGEST),
    ],
)
def test_a_digest_beats_a_tag_and_no_tag_is_latest(text: str, repository: str, reference: str) -> None:
    image = parse_image(text)
    assert (HOST, repository, reference) == (image.registry.host, image.repository, image.reference)


@pytest.mark.parametrize(
    "text",
    [
        "nginx",
        f"{HOST}/",
        f"{HOST}/App",
        f"{HOST}/a//b",
        f"{HOST}/../x",
        f"{HOST}/app:",
        f"{HOST}/app@sha256:1",
        f"{HOST}/app\n",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_image(text)
