from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest

from kube import errors
from kube.client import Client
from kube.objects import NAMESPACE, Object
from tests.support.kubernetes import ClusterUnderTest


@pytest.fixture
def account(client: Client, namespace: str) -> Object:
    metadata = {"name": "agent", "namespace": namespace}
    return client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})


def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def test_a_token_says_who_it_is_of_and_whom_it_is_for(
    cluster: ClusterUnderTest, client: Client, namespace: str, account: Object
) -> None:
    issued = client.request_token(
        namespace, "agent", audiences=["sts.amazonaws.com"], expiration_seconds=3600
    )

    said = claims(issued.token)
    assert cluster.issuer == said["iss"]
    assert ["sts.amazonaws.com"] == said["aud"]
    assert f"system:serviceaccount:{namespace}:agent" == said["sub"]
    assert namespace == said["kubernetes.io"]["namespace"]
    assert {"name": "agent", "uid": account["metadata"]["uid"]} == said["kubernetes.io"]["serviceaccount"]


def test_a_token_lives_as_long_as_was_granted(client: Client, namespace: str, account: Object) -> None:
    issued = client.request_token(namespace, "agent", audiences=["x"], expiration_seconds=3600)

    said = claims(issued.token)
    assert 3600 == said["exp"] - said["iat"]
    assert said["nbf"] == said["iat"]
    assert datetime.fromtimestamp(said["exp"], UTC) == issued.expires_at
    assert abs(issued.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)


def test_a_token_without_audiences_is_for_the_server_itself(
    cluster: ClusterUnderTest, client: Client, namespace: str, account: Object
) -> None:
    issued = client.request_token(namespace, "agent", audiences=[], expiration_seconds=600)

    assert [cluster.issuer] == claims(issued.token)["aud"]


def test_a_token_for_less_than_ten_minutes_is_invalid(
    client: Client, namespace: str, account: Object
) -> None:
    with pytest.raises(errors.Invalid) as caught:
        client.request_token(namespace, "agent", audiences=["x"], expiration_seconds=599)

    assert "spec.expirationSeconds" in caught.value.message


def test_a_token_of_an_absent_account_is_not_found(client: Client, namespace: str) -> None:
    with pytest.raises(errors.NotFound) as caught:
        client.request_token(namespace, "nobody", audiences=["x"], expiration_seconds=600)

    assert 'serviceaccounts "nobody" not found' == caught.value.message


def test_discovery_leads_to_the_key_that_signed_the_token(
    cluster: ClusterUnderTest, client: Client, namespace: str, account: Object
) -> None:
    issued = client.request_token(namespace, "agent", audiences=["sts.amazonaws.com"], expiration_seconds=600)

    discovery = client.read_path("/.well-known/openid-configuration")
    keys = jwt.PyJWKSet.from_dict(dict(client.read_path("/openid/v1/jwks")))

    assert cluster.issuer == discovery["issuer"]
    assert urlsplit(discovery["jwks_uri"]).path.endswith("/openid/v1/jwks")
    assert ["RS256"] == discovery["id_token_signing_alg_values_supported"]
    key = keys[jwt.get_unverified_header(issued.token)["kid"]]
    verified = jwt.decode(
        issued.token, key, algorithms=["RS256"], audience="sts.amazonaws.com", issuer=cluster.issuer
    )
    assert f"system:serviceaccount:{namespace}:agent" == verified["sub"]


def test_any_service_account_may_read_discovery_and_keys(
    cluster: ClusterUnderTest, service_account: Client
) -> None:
    discovery = service_account.read_path("/.well-known/openid-configuration")

    assert cluster.issuer == discovery["issuer"]
    assert service_account.read_path("/openid/v1/jwks")["keys"]


def test_a_token_for_another_audience_does_not_open_the_server(
    cluster: ClusterUnderTest,
    client: Client,
    namespace: str,
    account: Object,
    open_client: Callable[..., Client],
) -> None:
    issued = client.request_token(namespace, "agent", audiences=["sts.amazonaws.com"], expiration_seconds=600)

    with pytest.raises(errors.Unauthorized):
        open_client(cluster.access(issued.token)).get(NAMESPACE, "default")
