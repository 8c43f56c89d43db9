"""The sandbox's registry: whose passwords it takes, and what it shows."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from datetime import timedelta

import pytest
from werkzeug.test import Client, TestResponse

from sandbox.aws.callers import Caller
from tests.support.aws import ACCOUNT, REGION, REGISTRY, ROLE, START, AwsUnderTest

World = AwsUnderTest
OTHER = "210987654321"


@pytest.fixture
def world() -> World:
    return AwsUnderTest()


def password(world: World, region: str = REGION) -> str:
    caller = Caller(f"arn:aws:sts::{ACCOUNT}:assumed-role/pull/acme-demo", ROLE, region)
    world.aws._ecr.call("GetAuthorizationToken", caller, world.time)  # the shortest way to a password
    passwords: list[str] = list(world.aws.snapshot()["passwords"])
    return passwords[-1]


def get(
    world: World,
    path: str = "/v2/",
    *,
    key: str | None = None,
    user: str = "AWS",
    host: str = REGISTRY,
    method: str = "GET",
) -> TestResponse:
    headers = {"Host": host}
    if key is not None:
        headers["Authorization"] = f"Basic {b64encode(f'{user}:{key}'.encode()).decode()}"
    return Client(world.registry.wsgi_app).open(path, method=method, headers=headers)


def refusal(answer: TestResponse) -> tuple[int, str]:
    document = answer.get_json()
    assert isinstance(document, dict)
    return answer.status_code, document["errors"][0]["code"]


def test_an_issued_password_opens_the_base(world: World) -> None:
    assert get(world, key=password(world)).status_code == 200


def test_without_a_password_the_registry_asks_for_one(world: World) -> None:
    answer = get(world)
    assert (401, "UNAUTHORIZED") == refusal(answer)
    assert (
        f'Basic realm="https://{REGISTRY}/",service="ecr.amazonaws.com"' == answer.headers["WWW-Authenticate"]
    )


def test_a_guessed_password_opens_nothing(world: World) -> None:
    assert (401, "UNAUTHORIZED") == refusal(get(world, key="guess"))


def test_the_user_is_aws(world: World) -> None:
    assert (401, "UNAUTHORIZED") == refusal(get(world, key=password(world), user="me"))


def test_a_password_of_another_region_opens_nothing(world: World) -> None:
    assert (401, "UNAUTHORIZED") == refusal(get(world, key=password(world, "us-east-1")))


def test_an_old_password_is_denied_in_words(world: World) -> None:
    key = password(world)
    world.time = START + timedelta(hours=12)
    answer = get(world, key=key)
    assert (403, "DENIED") == refusal(answer)
    assert "Your authorization token has expired" in answer.text


def test_a_manifest_and_its_blobs_can_be_pulled(world: World) -> None:
    key = password(world)
    manifest = get(world, "/v2/team/app/manifests/1.0", key=key)
    document = json.loads(manifest.data)
    config = get(world, f"/v2/team/app/blobs/{document['config']['digest']}", key=key)
    assert f"sha256:{hashlib.sha256(manifest.data).hexdigest()}" == manifest.headers["Docker-Content-Digest"]
    assert document["mediaType"] == manifest.content_type
    assert f"sha256:{hashlib.sha256(config.data).hexdigest()}" == document["config"]["digest"]


def test_a_manifest_has_its_digest_as_a_name(world: World) -> None:
    digest = world.registry.add_image(f"{REGISTRY}/team/other")
    assert get(world, f"/v2/team/other/manifests/{digest}", key=password(world)).status_code == 200


def test_head_has_no_body(world: World) -> None:
    answer = get(world, "/v2/team/app/manifests/1.0", key=password(world), method="HEAD")
    assert (200, b"") == (answer.status_code, answer.data)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v2/team/app/manifests/2.0", "MANIFEST_UNKNOWN"),
        ("/v2/team/none/manifests/1.0", "NAME_UNKNOWN"),
        ("/v2/team/app/blobs/sha256:0", "BLOB_UNKNOWN"),
        ("/v1/", "UNSUPPORTED"),
    ],
)
def test_what_is_not_there_is_unknown(world: World, path: str, code: str) -> None:
    assert (404, code) == refusal(get(world, path, key=password(world)))


def test_another_accounts_images_are_denied_until_it_allows_them(world: World) -> None:
    host = f"{OTHER}.dkr.ecr.{REGION}.amazonaws.com"
    world.registry.add_image(f"{host}/app:1")
    key = password(world)
    assert (403, "DENIED") == refusal(get(world, "/v2/app/manifests/1", key=key, host=host))
    world.registry.allow(ACCOUNT, OTHER)
    assert get(world, "/v2/app/manifests/1", key=key, host=host).status_code == 200


def test_a_role_without_the_right_to_pull_is_denied(world: World) -> None:
    key = password(world)
    world.aws.create_role(ROLE, world.trust_policy(), allow=["ecr:GetAuthorizationToken"])
    assert get(world, key=key).status_code == 200
    assert (403, "DENIED") == refusal(get(world, "/v2/team/app/manifests/1.0", key=key))


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "docker.io"])
def test_other_host_names_are_no_registry(world: World, host: str) -> None:
    assert (404, "UNSUPPORTED") == refusal(get(world, key=password(world), host=host))


def test_nothing_can_be_pushed(world: World) -> None:
    answer = get(world, "/v2/team/app/manifests/1.0", key=password(world), method="PUT")
    assert (405, "UNSUPPORTED") == refusal(answer)


@pytest.mark.parametrize("reference", ["app", "docker.io/app:1", f"{REGISTRY}/app@sha256:{'0' * 64}"])
def test_an_image_is_added_under_an_ecr_name(world: World, reference: str) -> None:
    with pytest.raises(ValueError, match="expected an ECR registry"):
        world.registry.add_image(reference)


def test_a_registry_that_is_down_answers_nothing_else(world: World) -> None:
    world.registry.set_down()
    assert get(world).status_code == 503
    world.registry.set_down(down=False)
    assert get(world).status_code == 401


def test_requests_are_counted(world: World) -> None:
    get(world)
    get(world, "/v2/team/app/manifests/1.0", method="HEAD")
    assert {"GET base": 1, "HEAD manifests": 1} == world.registry.calls


PUBLIC_HOST = "public.ecr.aws"
PUBLIC_IMAGE = f"{PUBLIC_HOST}/acme/app:1.0"


def public_password(world: World) -> str:
    allow = ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"]
    world.aws.create_role(ROLE, world.trust_policy(), allow=allow)
    caller = Caller(f"arn:aws:sts::{ACCOUNT}:assumed-role/pull/acme-demo", ROLE, "us-east-1")
    world.aws._ecr.call_public("GetAuthorizationToken", caller, world.time)
    passwords: list[str] = list(world.aws.snapshot()["passwords"])
    return passwords[-1]


def public(world: World, path: str, bearer: str | None = None, host: str = PUBLIC_HOST) -> TestResponse:
    headers = {"Host": host} | ({} if bearer is None else {"Authorization": f"Bearer {bearer}"})
    return Client(world.registry.wsgi_app).get(path, headers=headers)


def public_token(world: World, key: str | None = None) -> str:
    document = get(world, "/token/", key=key, host=PUBLIC_HOST).get_json()
    assert isinstance(document, dict)
    return str(document["token"])


@pytest.mark.parametrize("host", [PUBLIC_HOST, "ecr-public.aws.com"])
def test_ecr_public_says_where_it_gives_tokens(world: World, host: str) -> None:
    answer = public(world, "/v2/", host=host)
    assert answer.status_code == 401
    assert (
        f'Bearer realm="https://{host}/token/",service="{host}",scope="aws"'
        == answer.headers["WWW-Authenticate"]
    )


def test_anybody_may_pull_from_ecr_public(world: World) -> None:
    digest = world.registry.add_image(PUBLIC_IMAGE)
    answer = public(world, "/v2/acme/app/manifests/1.0", public_token(world))
    assert digest == answer.headers["Docker-Content-Digest"]
    assert {"GET token anonymous": 1, "GET manifests": 1} == world.registry.calls


def test_a_password_of_ecr_public_gives_a_token(world: World) -> None:
    token = public_token(world, public_password(world))
    assert public(world, "/v2/", token).status_code == 200
    assert {"GET token": 1, "GET base": 1} == world.registry.calls


def test_the_password_itself_is_a_token_in_the_shape_in_which_it_was_given(world: World) -> None:
    shape = b64encode(f"AWS:{public_password(world)}".encode()).decode()
    assert public(world, "/v2/", shape).status_code == 200


def test_a_password_of_another_registry_gives_no_token(world: World) -> None:
    for key in (password(world), "guess"):
        assert (403, "DENIED") == refusal(get(world, "/token/", key=key, host=PUBLIC_HOST))


def test_an_old_password_gives_no_token(world: World) -> None:
    key = public_password(world)
    world.time = START + timedelta(hours=12)
    answer = get(world, "/token/", key=key, host=PUBLIC_HOST)
    assert "has expired" in answer.get_data(as_text=True)


@pytest.mark.parametrize("bearer", ["guess", "QVdTOng="])
def test_a_made_up_token_is_refused(world: World, bearer: str) -> None:
    assert (403, "DENIED") == refusal(public(world, "/v2/", bearer))


def test_a_password_is_no_token(world: World) -> None:
    key = public_password(world)
    assert (403, "DENIED") == refusal(get(world, key=key, host=PUBLIC_HOST))


def test_ecr_public_that_is_down_gives_no_token(world: World) -> None:
    world.registry.set_down()
    assert public(world, "/token/").status_code == 503
