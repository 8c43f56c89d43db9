"""The sandbox's AWS over real HTTP, for our own calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.aws import AwsUnderTest, served


@pytest.fixture
def world() -> Iterator[AwsUnderTest]:
    under_test = AwsUnderTest()
    with served(under_test.aws.wsgi_app) as url, served(under_test.registry.wsgi_app) as registry_url:
        under_test.url, under_test.registry_url = url, registry_url
        yield under_test
