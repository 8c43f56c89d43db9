"""STS, ECR and registry calls: whose identity, which route, whom they believe."""

from __future__ import annotations

import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest
from werkzeug.wrappers import Request, Response

from aws import ecr, registry, sts
from aws.credentials import AwsEndpoints, RegistryCredential, SessionCredentials
from aws.hops import AwsFailure
from aws.registry_hosts import PUBLIC
from tests.support.aws import ACCOUNT, REGION, REGISTRY, ROLE, START, AwsUnderTest, served
from tests.support.certificates import Authority, write_private

CREDENTIAL = RegistryCredential(
    region=REGION, username="AWS", password="hunter2", issued_at=START, expires_at=START + timedelta(hours=12)
)


def assume(world: AwsUnderTest, endpoints: AwsEndpoints, token: str | None = None) -> SessionCredentials:
    return sts.assume_role_with_web_identity(
        role_arn=ROLE,
        token=world.issuer.token() if token is None else token,
        session_name="acme-demo",
        region=REGION,
        endpoints=endpoints,
        attempts=1,
    )


@pytest.fixture
def authority(tmp_path: Path) -> tuple[ssl.SSLContext, Authority]:
    signer = Authority()
    certificate, key = signer.server("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        write_private(tmp_path / "tls.crt", certificate), write_private(tmp_path / "tls.key", key)
    )
    return context, signer


def test_the_session_ends_when_sts_says(world: AwsUnderTest) -> None:
    assert START + timedelta(hours=1) == assume(world, world.endpoints).expires_at


def test_no_secret_is_shown() -> None:
    session = SessionCredentials("ASIA1", "hunter2", "hunter3", START)
    assert "hunter" not in repr(session) + repr(CREDENTIAL)


def test_the_machines_own_identity_and_settings_are_not_looked_at(
    world: AwsUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configuration = tmp_path / "config"
    configuration.write_text("[broken")
    for name, value in {
        "AWS_PROFILE": "missing",
        "AWS_CONFIG_FILE": str(configuration),
        "AWS_SHARED_CREDENTIALS_FILE": str(configuration),
        "AWS_ACCESS_KEY_ID": "AKIAOTHER",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "other",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_CA_BUNDLE": "/missing.pem",
        "AWS_MAX_ATTEMPTS": "nonsense",
        "AWS_DATA_PATH": "/missing",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "HTTPS_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    session = assume(world, world.endpoints)
    credential = ecr.authorization_token(
        credentials=session, region=REGION, endpoints=world.endpoints, now=START, attempts=1
    )
    registry.check(host=REGISTRY, credential=credential, image=None, endpoints=world.endpoints)
    issued = world.aws.password_is_valid(credential.password)
    assert issued is not None
    assert ROLE == issued.role_arn


def test_own_authorities_are_believed(
    world: AwsUnderTest, authority: tuple[ssl.SSLContext, Authority]
) -> None:
    context, signer = authority
    with served(world.aws.wsgi_app, tls=context) as url:
        assert assume(world, AwsEndpoints(sts=f"{url}/sts", ca_bundle=signer.certificate)).access_key_id


def test_other_authorities_are_not_believed_and_the_failure_says_so(
    world: AwsUnderTest, authority: tuple[ssl.SSLContext, Authority]
) -> None:
    with (
        served(world.aws.wsgi_app, tls=authority[0]) as url,
        pytest.raises(AwsFailure, match=r"StsUnreachable: SSL validation failed .*CERTIFICATE_VERIFY_FAILED"),
    ):
        assume(world, AwsEndpoints(sts=f"{url}/sts", ca_bundle=Authority().certificate))


def test_the_registry_believes_own_authorities_and_no_other(
    world: AwsUnderTest, authority: tuple[ssl.SSLContext, Authority]
) -> None:
    context, signer = authority
    session = assume(world, world.endpoints)
    credential = ecr.authorization_token(
        credentials=session, region=REGION, endpoints=world.endpoints, now=START, attempts=1
    )
    with served(world.registry.wsgi_app, tls=context) as url:
        believing = AwsEndpoints(registry=url, ca_bundle=signer.certificate)
        registry.check(host=REGISTRY, credential=credential, image=None, endpoints=believing)
        with pytest.raises(AwsFailure, match=r"RegistryUnreachable: .*CERTIFICATE_VERIFY_FAILED"):
            registry.check(
                host=REGISTRY, credential=credential, image=None, endpoints=AwsEndpoints(registry=url)
            )


@pytest.mark.parametrize(
    "settings",
    [
        AwsEndpoints(ca_bundle="nonsense"),
        AwsEndpoints(sts="no url"),
        AwsEndpoints(https_proxy="http://me:hunter2@127.0.0.1:1"),
    ],
)
def test_settings_that_allow_no_call_are_failures_in_words(
    world: AwsUnderTest, settings: AwsEndpoints
) -> None:
    with pytest.raises(AwsFailure) as failed:
        assume(world, settings)
    assert failed.value.code == "StsUnreachable"
    assert "hunter2" not in str(failed.value)


@pytest.mark.parametrize(
    "settings",
    [AwsEndpoints(ca_bundle="nonsense"), AwsEndpoints(https_proxy="http://me:hunter2@127.0.0.1:1")],
)
def test_the_same_settings_fail_at_the_registry_in_words(settings: AwsEndpoints) -> None:
    with pytest.raises(AwsFailure) as failed:
        registry.check(host=REGISTRY, credential=CREDENTIAL, image=None, endpoints=settings)
    assert failed.value.code == "RegistryUnreachable"
    assert "hunter2" not in str(failed.value)


def test_what_boto_itself_refuses_is_a_refusal(world: AwsUnderTest) -> None:
    with pytest.raises(AwsFailure, match=r"StsRefused: ValidationError: .*WebIdentityToken"):
        assume(world, world.endpoints, token="x")


def test_a_region_that_is_none_is_a_failure_in_words(world: AwsUnderTest) -> None:
    with pytest.raises(AwsFailure, match="EcrUnreachable"):
        ecr.authorization_token(
            credentials=assume(world, world.endpoints), region="a b", endpoints=AwsEndpoints(), now=START
        )


@pytest.mark.parametrize(
    "document",
    [
        '{"authorizationData": []}',
        '{"authorizationData": [{"authorizationToken": "QVdTOmE="}]}',
        '{"authorizationData": [{"authorizationToken": "!", "expiresAt": 1.0}]}',
        '{"authorizationData": [{"authorizationToken": "QVdT", "expiresAt": 1.0}]}',
    ],
)
def test_an_answer_without_a_credential_is_no_credential(document: str) -> None:
    session = SessionCredentials("ASIA1", "hunter2", "hunter3", START)
    answer = Response(document, content_type="application/x-amz-json-1.1")
    with served(answer) as url, pytest.raises(AwsFailure, match="EcrRefused"):
        ecr.authorization_token(
            credentials=session, region=REGION, endpoints=AwsEndpoints(ecr=url), now=START, attempts=1
        )


@pytest.mark.parametrize("image", [None, f"{REGISTRY}/team/app:1.0"])
def test_a_redirect_is_not_followed_with_the_credential(image: str | None) -> None:
    hosts = []

    @Request.application
    def redirecting(request: Request) -> Response:
        hosts.append((request.host, "Authorization" in request.headers))
        return Response(status=307, headers={"Location": f"{request.host_url}elsewhere"})

    with (
        served(redirecting) as url,
        pytest.raises(AwsFailure, match=r"redirect to .*, which is not followed"),
    ):
        registry.check(
            host=REGISTRY, credential=CREDENTIAL, image=image, endpoints=AwsEndpoints(registry=url)
        )
    assert {(REGISTRY, True)} == set(hosts)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"errors": [{"code": "DENIED", "message": "no: hunter2"}]}', "DENIED: no: \\*\\*\\*"),
        ('{"errors": [{"code": "DENIED"}]}', "DENIED"),
        ("<html>", "FORBIDDEN"),
        ("[]", "FORBIDDEN"),
        ('{"errors": []}', "FORBIDDEN"),
    ],
)
def test_the_registrys_words_are_kept_and_secrets_are_not(body: str, words: str) -> None:
    with (
        served(Response(body, status=403)) as url,
        pytest.raises(AwsFailure, match=f"RegistryAccessDenied: 403: {REGISTRY}: {words}"),
    ):
        registry.check(host=REGISTRY, credential=CREDENTIAL, image=None, endpoints=AwsEndpoints(registry=url))


def public_credential(world: AwsUnderTest) -> RegistryCredential:
    allow = ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"]
    world.aws.create_role(ROLE, world.trust_policy(), allow=allow)
    return ecr.authorization_token(
        credentials=assume(world, world.endpoints),
        region=PUBLIC,
        endpoints=world.endpoints,
        now=START,
        attempts=1,
    )


def test_a_login_of_ecr_public_opens_it_and_no_private_registry(world: AwsUnderTest) -> None:
    credential = public_credential(world)
    registry.check(host="public.ecr.aws", credential=credential, image=None, endpoints=world.endpoints)
    with pytest.raises(AwsFailure, match="RegistryAccessDenied"):
        registry.check(host=REGISTRY, credential=credential, image=None, endpoints=world.endpoints)


def test_a_private_login_does_not_open_ecr_public_though_anybody_may_pull(world: AwsUnderTest) -> None:
    with pytest.raises(
        AwsFailure, match=r"RegistryAccessDenied: 403: public.ecr.aws: .*Authorization Token is invalid"
    ) as failed:
        registry.check(host="public.ecr.aws", credential=CREDENTIAL, image=None, endpoints=world.endpoints)
    assert "hunter2" not in str(failed.value)


def test_a_login_of_ecr_public_runs_out(world: AwsUnderTest) -> None:
    credential = public_credential(world)
    world.time = START + timedelta(hours=12)
    with pytest.raises(AwsFailure, match=r"RegistryAccessDenied: 403: .*has expired"):
        registry.check(host="public.ecr.aws", credential=credential, image=None, endpoints=world.endpoints)


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer realm="https://public.ecr.aws.evil.example/token/",service="public.ecr.aws"',
        'Bearer realm="https://evil.example/token/",service="public.ecr.aws"',
        'Bearer service="public.ecr.aws"',
        'Basic realm="https://public.ecr.aws/"',
        "",
    ],
)
def test_the_credential_goes_to_no_other_realm(challenge: str) -> None:
    given = []

    @Request.application
    def elsewhere(request: Request) -> Response:
        given.append(request.headers.get("Authorization"))
        return Response(status=401, headers={"WWW-Authenticate": challenge})

    with served(elsewhere) as url, pytest.raises(AwsFailure, match="RegistryUnreachable"):
        registry.check(
            host="public.ecr.aws", credential=CREDENTIAL, image=None, endpoints=AwsEndpoints(registry=url)
        )
    assert [None] == given


@pytest.mark.parametrize("body", ["", "[]", '{"access": "hunter2"}'])
def test_an_answer_without_a_token_is_none(body: str) -> None:
    @Request.application
    def public(request: Request) -> Response:
        if request.path == "/token/":
            return Response(body)
        realm = 'Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws"'
        return Response(status=401, headers={"WWW-Authenticate": realm})

    with (
        served(public) as url,
        pytest.raises(AwsFailure, match=r"RegistryUnreachable: no token: .*holds no token") as failed,
    ):
        registry.check(
            host="public.ecr.aws", credential=CREDENTIAL, image=None, endpoints=AwsEndpoints(registry=url)
        )
    assert "hunter2" not in str(failed.value)


def test_a_registry_without_a_base_is_none() -> None:
    with served(Response(status=404)) as url, pytest.raises(AwsFailure, match="RegistryUnreachable"):
        registry.check(host=REGISTRY, credential=CREDENTIAL, image=None, endpoints=AwsEndpoints(registry=url))


@pytest.mark.parametrize(
    ("host", "image"),
    [
        ("docker.io", None),
        (REGISTRY, "docker.io/nginx"),
        (REGISTRY, f"{REGISTRY.replace(ACCOUNT, '210987654321')}/team/app"),
        (REGISTRY, f"{REGISTRY}/team/../x"),
        (REGISTRY, f"{REGISTRY}/team/app:1.0?x=y"),
        (REGISTRY, f"{REGISTRY}/Team"),
        (REGISTRY, "public.ecr.aws/team/app"),
        ("public.ecr.aws", f"{REGISTRY}/team/app"),
        ("public.ecr.aws.evil.example", None),
    ],
)
def test_a_credential_is_never_sent_anywhere_else(host: str, image: str | None) -> None:
    with pytest.raises(ValueError, match=r"expected|is not in registry"):
        registry.check(host=host, credential=CREDENTIAL, image=image, endpoints=AwsEndpoints())


def test_without_an_override_the_call_goes_through_the_proxy(world: AwsUnderTest) -> None:
    settings = AwsEndpoints(https_proxy="http://127.0.0.1:1", no_proxy="acme.com")
    session = assume(world, world.endpoints)
    with pytest.raises(AwsFailure, match="proxy"):
        ecr.authorization_token(credentials=session, region=REGION, endpoints=settings, now=START, attempts=1)


class _Refusing(StreamRequestHandler):
    """A proxy that wants to know who asks, and refuses whoever it is."""

    def handle(self) -> None:
        lines = list(iter(lambda: self.rfile.readline().decode().strip(), ""))
        self.server.asked.append(lines)  # type: ignore[attr-defined]  # set by the fixture
        self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[list[str]]]]:
    """Its URL with user and password, and the head of each request to it."""
    asked: list[list[str]] = []
    with ThreadingTCPServer(("127.0.0.1", 0), _Refusing) as server:
        server.asked = asked  # type: ignore[attr-defined]  # what the handler saw
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://me:p%40ss@127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def test_every_call_goes_through_the_proxy_as_its_user(
    world: AwsUnderTest, proxy: tuple[str, list[list[str]]]
) -> None:
    url, asked = proxy
    settings = AwsEndpoints(https_proxy=url)
    session = assume(world, world.endpoints)
    with pytest.raises(AwsFailure, match="StsUnreachable"):
        assume(world, settings)
    with pytest.raises(AwsFailure, match="EcrUnreachable"):
        ecr.authorization_token(credentials=session, region=REGION, endpoints=settings, now=START, attempts=1)
    with pytest.raises(AwsFailure, match="RegistryUnreachable"):
        registry.check(host=REGISTRY, credential=CREDENTIAL, image=None, endpoints=settings)
    hosts = [f"sts.{REGION}.amazonaws.com", f"api.ecr.{REGION}.amazonaws.com", REGISTRY]
    assert [f"CONNECT {host}:443 HTTP/1.1" for host in hosts] == [
        lines[0].replace("HTTP/1.0", "HTTP/1.1") for lines in asked
    ]
    user = b64encode(b"me:p@ss").decode()
    assert all(
        f"proxy-authorization: Basic {user}".lower() in [line.lower() for line in lines] for lines in asked
    )
