from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from schemas import connection, connection_bodies
from schemas.connection import AwsAccess, Connection
from schemas.connection_bodies import HUB_SUBJECT
from schemas.errors import Invalid, Mistake

NOW = datetime(2026, 11, 22, 5, 40, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
SERVER = "https://k8s.example.com:6443"


def pem(label: str = "CERTIFICATE") -> str:
    return f"-----BEGIN {label}-----\n{base64.b64encode(b'x' * 40).decode()}\n-----END {label}-----\n"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def token(**claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJSUzI1NiJ9.{payload}.c2lnbmF0dXJl"


def kubeconfig(cluster: Any = None, user: Any = None, **changes: Any) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [
            {"name": "other", "context": {"cluster": "x", "user": "x"}},
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": SERVER, **(cluster or {})}}],
        "users": [{"name": "u", "user": {"token": "s3cret"} if user is None else user}],
        **changes,
    }
    return yaml.safe_dump(document)


def parse(body: Any, *, allow_loopback: bool = False) -> Connection:
    return connection_bodies.parse(body, now=NOW, allow_loopback=allow_loopback)


def mistakes(body: Any, *, allow_loopback: bool = False) -> list[Mistake]:
    with pytest.raises(Invalid) as caught:
        parse(body, allow_loopback=allow_loopback)
    assert "s3cret" not in str(caught.value) + repr(caught.value.mistakes)
    return list(caught.value.mistakes)


def places(body: Any, *, allow_loopback: bool = False) -> list[str]:
    return [mistake.path for mistake in mistakes(body, allow_loopback=allow_loopback)]


STORED = Connection(
    server=SERVER,
    certificate_authority=pem(),
    token="old",
    expires_at=LATER,
    proxy="http://proxy.example.com:3128",
    timeout_seconds=30.0,
    aws=AwsAccess(sts_endpoint="https://sts.example.com", no_proxy=".svc"),
)


def update(body: Any) -> Connection:
    return connection_bodies.update(STORED, body, now=NOW, allow_loopback=False)


def test_server_and_token_make_a_connection() -> None:
    body = {
        "server": f"{SERVER}/",
        "certificateAuthority": pem(),
        "token": " s3cret\n",
        "expiresAt": "2026-12-22T05:40:00Z",
    }
    assert parse(body) == Connection(
        server=SERVER, certificate_authority=pem(), token="s3cret", expires_at=LATER
    )


def test_a_kubeconfig_s_current_context_makes_a_connection() -> None:
    cluster = {
        "certificate-authority-data": encoded(pem()),
        "tls-server-name": "inner.example.com",
        "proxy-url": "http://proxy.example.com:3128",
        "insecure-skip-tls-verify": False,
    }
    user = {"client-certificate-data": encoded(pem()), "client-key-data": encoded(pem("EC PRIVATE KEY"))}
    assert parse({"kubeconfig": kubeconfig(cluster, user)}) == Connection(
        server=SERVER,
        certificate_authority=pem(),
        client_certificate=pem(),
        client_key=pem("EC PRIVATE KEY"),
        tls_server_name="inner.example.com",
        proxy="http://proxy.example.com:3128",
    )


def test_every_setting_is_taken() -> None:
    aws = {
        "stsEndpoint": "https://sts.example.com",
        "ecrEndpoint": "https://ecr.example.com",
        "ecrPublicEndpoint": "https://ecr-public.example.com",
        "metadataEndpoint": "https://metadata.example.com",
        "registryEndpoint": "https://registry.example.com",
        "httpsProxy": "http://proxy.example.com:3128",
        "noProxy": ".svc,10.0.0.0/8",
        "caBundle": pem(),
    }
    settings = {
        "timeoutSeconds": 5,
        "proxy": "https://proxy.example.com",
        "tlsServerName": "inner.example.com",
        "agentImage": "registry.example.com/pullpass@sha256:" + "0" * 64,
        "aws": aws,
    }
    assert parse({"server": SERVER, "token": "t", "settings": settings}) == Connection(
        server=SERVER,
        token="t",
        timeout_seconds=5.0,
        proxy="https://proxy.example.com",
        tls_server_name="inner.example.com",
        agent_image="registry.example.com/pullpass@sha256:" + "0" * 64,
        aws=AwsAccess(
            sts_endpoint="https://sts.example.com",
            ecr_endpoint="https://ecr.example.com",
            ecr_public_endpoint="https://ecr-public.example.com",
            registry_endpoint="https://registry.example.com",
            metadata_endpoint="https://metadata.example.com",
            https_proxy="http://proxy.example.com:3128",
            no_proxy=".svc,10.0.0.0/8",
            ca_bundle=pem(),
        ),
    )


def test_a_setting_beats_the_kubeconfig() -> None:
    body = {
        "kubeconfig": kubeconfig({"proxy-url": "http://a.example.com"}),
        "settings": {"proxy": "http://b.example.com"},
    }
    assert parse(body).proxy == "http://b.example.com"


def test_a_token_says_when_it_was_granted_and_when_it_runs_out() -> None:
    parsed = parse({"server": SERVER, "token": token(iat=NOW.timestamp(), exp=int(LATER.timestamp()))})
    assert (parsed.granted_at, parsed.expires_at) == (NOW, LATER)


def test_what_the_token_says_beats_what_the_body_says() -> None:
    body = {"server": SERVER, "token": token(exp=int(LATER.timestamp())), "expiresAt": "2026-11-23T00:00:00Z"}
    assert parse(body).expires_at == LATER


@pytest.mark.parametrize(
    ("sent", "renewable"),
    [
        (token(sub=HUB_SUBJECT), True),
        (token(sub="system:serviceaccount:pullpass-system:pullpass-agent"), False),
        (token(), False),
        (token(sub=[HUB_SUBJECT], exp="tomorrow", iat=1e300), False),
        ("a.b.c", False),
        ("a.W10.c", False),  # a payload that is a list
        ("opaque", False),
    ],
)
def test_only_the_hub_s_own_account_renews_its_token(sent: str, renewable: bool) -> None:
    assert parse({"server": SERVER, "token": sent}).renewable is renewable


@pytest.mark.parametrize(
    ("user", "name", "way_out"),
    [
        ({"exec": {"command": "aws"}}, "exec", "pullpass connect"),
        ({"auth-provider": {"name": "gcp"}}, "auth-provider", "pullpass connect"),
        ({"tokenFile": "/var/run/s3cret"}, "tokenFile", "`token`"),
        ({"client-certificate": "/s3cret", "client-key-data": "x"}, "client-certificate", "--flatten"),
        ({"token": "t", "client-key": "/s3cret"}, "client-key", "--flatten"),
        ({"token": "t", "username": "s3cret"}, "username", "token"),
        ({"token": "t", "password": "s3cret"}, "password", "token"),
        ({"token": "t", "as": "s3cret"}, "as", "leave it out"),
        ({"token": "t", "as-uid": "s3cret"}, "as-uid", "leave it out"),
        ({"token": "t", "as-groups": ["s3cret"]}, "as-groups", "leave it out"),
        ({"token": "t", "as-user-extra": {"a": ["s3cret"]}}, "as-user-extra", "leave it out"),
    ],
)
def test_a_user_that_needs_the_machine_it_came_from_is_refused(user: Any, name: str, way_out: str) -> None:
    found = mistakes({"kubeconfig": kubeconfig(user=user)})
    assert found[0].path == f"$.kubeconfig.users[0].user.{name}"
    assert way_out in found[0].hint


@pytest.mark.parametrize(
    ("cluster", "name"),
    [
        ({"certificate-authority": "/ca.crt"}, "certificate-authority"),
        ({"insecure-skip-tls-verify": True}, "insecure-skip-tls-verify"),
        ({"server": None}, "server"),
        ({"server": "http://k8s.example.com"}, "server"),
        ({"proxy-url": "socks5://proxy.example.com"}, "proxy-url"),
        ({"certificate-authority-data": "not base64!"}, "certificate-authority-data"),
        ({"certificate-authority-data": encoded("not PEM")}, "certificate-authority-data"),
        ({"certificate-authority-data": encoded(pem("PRIVATE KEY"))}, "certificate-authority-data"),
        ({"tls-server-name": 3}, "tls-server-name"),
    ],
)
def test_a_cluster_that_cannot_be_trusted_is_refused(cluster: Any, name: str) -> None:
    assert places({"kubeconfig": kubeconfig(cluster)}) == [f"$.kubeconfig.clusters[0].cluster.{name}"]


def test_everything_wrong_in_a_kubeconfig_is_said_at_once() -> None:
    text = kubeconfig({"insecure-skip-tls-verify": True}, {"exec": {"command": "s3cret"}, "as": "s3cret"})
    assert places({"kubeconfig": text, "settings": {"timeoutSeconds": 0}}) == [
        "$.settings.timeoutSeconds",
        "$.kubeconfig.clusters[0].cluster.insecure-skip-tls-verify",
        "$.kubeconfig.users[0].user.exec",
        "$.kubeconfig.users[0].user.as",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"current-context": None}, ["$.kubeconfig.current-context"]),
        ({"current-context": "nowhere"}, ["$.kubeconfig.current-context"]),
        ({"contexts": "x"}, ["$.kubeconfig.current-context"]),
        ({"contexts": [{"name": "here"}]}, ["$.kubeconfig.contexts[0].context"]),
        ({"clusters": []}, ["$.kubeconfig.contexts[1].context.cluster"]),
        (
            {"users": None, "clusters": None},
            ["$.kubeconfig.contexts[1].context.cluster", "$.kubeconfig.contexts[1].context.user"],
        ),
        ({"users": [{"name": "u", "user": {"token": "a"}}] * 2}, ["$.kubeconfig.contexts[1].context.user"]),
        ({"users": [{"name": "u", "user": "s3cret"}]}, ["$.kubeconfig.users[0].user"]),
    ],
)
def test_a_context_that_leads_nowhere_is_refused(changes: Any, expected: list[str]) -> None:
    assert places({"kubeconfig": kubeconfig(**changes)}) == expected


@pytest.mark.parametrize(
    "user",
    [
        {},
        {"client-certificate-data": encoded(pem())},
        {"client-key-data": encoded(pem("PRIVATE KEY"))},
        {
            "token": "s3cret",
            "client-certificate-data": encoded(pem()),
            "client-key-data": encoded(pem("PRIVATE KEY")),
        },
        {"token": token(exp=int(NOW.timestamp()))},
    ],
)
def test_a_kubeconfig_holds_exactly_one_credential_that_is_still_good(user: Any) -> None:
    assert places({"kubeconfig": kubeconfig(user=user)}) == ["$.kubeconfig.users[0].user"]


def test_a_kubeconfig_that_is_no_yaml_is_refused_without_its_text() -> None:
    assert mistakes({"kubeconfig": "token: s3cret\ns3cret: [*s3cret"}) == [
        Mistake("$.kubeconfig", "line 2, column 10: an alias names nothing that stands before it")
    ]


@pytest.mark.parametrize(
    "server",
    [
        "http://k8s.example.com",
        "k8s.example.com:6443",
        "https://",
        "https:///path",
        "https://user:s3cret@k8s.example.com",
        "https://k8s.example.com?x=1",
        "https://k8s.example.com#x",
        "https://k8s.example.com:99999",
        "https://k8s.example.com:0",
        "https://k8s.example.com/a b",
        "https://[::1",
        "https://ex\u00e4mple.com",
        "https://169.254.169.254",
        "https://169.254.1.1:6443",
        "https://[fe80::1]",
        "https://[fe80::1%25eth0]",
        "https://[::ffff:169.254.169.254]",
        "https://[64:ff9b::a9fe:a9fe]",
        "https://[2002:a9fe:a9fe::1]",
        "https://[fd00:ec2::254]",
        "https://0xa9fea9fe",
        "https://2852039166",
        "https://169.254.43518",
        "https://224.0.0.1",
        "https://127.0.0.1:6443",
        "https://127.1",
        "https://2130706433",
        "https://0x7f.1",
        "https://0.0.0.0",
        "https://[::1]",
        "https://[::]",
        "https://[::ffff:127.0.0.1]",
        "https://localhost:6443",
        "https://LOCALHOST.",
        "https://a.localhost",
    ],
)
def test_an_address_that_the_hub_must_not_dial_is_refused(server: str) -> None:
    assert places({"server": server, "token": "s3cret"}) == ["$.server"]


@pytest.mark.parametrize(
    "server",
    [
        "https://k8s.example.com",
        "https://10.0.0.1:6443",
        "https://[2001:db8::1]:6443",
        "https://rancher.example.com/k8s/clusters/c-abcde",
        "https://fade.dead.example.com",
        "https://k8s.example.com.",
    ],
)
def test_any_other_https_address_is_taken(server: str) -> None:
    assert parse({"server": server, "token": "t"}).server == server


@pytest.mark.parametrize("host", ["127.0.0.1:6443", "[::1]:6443", "localhost"])
def test_loopback_is_taken_where_that_is_allowed(host: str) -> None:
    assert parse({"server": f"https://{host}", "token": "t"}, allow_loopback=True).server == f"https://{host}"


@pytest.mark.parametrize("server", ["http://127.0.0.1:6443", "https://169.254.169.254"])
def test_allowing_loopback_allows_nothing_else(server: str) -> None:
    assert places({"server": server, "token": "t"}, allow_loopback=True) == ["$.server"]


def test_aws_endpoints_may_be_plain_http_on_an_allowed_loopback_only() -> None:
    body = {
        "server": SERVER,
        "token": "t",
        "settings": {
            "aws": {"stsEndpoint": "http://127.0.0.1:1/sts", "ecrEndpoint": "http://ecr.example.com"}
        },
    }
    assert places(body, allow_loopback=True) == ["$.settings.aws.ecrEndpoint"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["$"]),
        ({"settings": {"timeoutSeconds": 3}}, ["$"]),
        ({"server": SERVER}, ["$"]),
        ({"token": "s3cret"}, ["$"]),
        ([], ["$"]),
        ({"kubeconfig": kubeconfig(), "server": SERVER, "token": "s3cret"}, ["$.server", "$.token"]),
        ({"kubeconfig": {}}, ["$.kubeconfig"]),
        ({"server": SERVER, "token": "s3cret two"}, ["$.token"]),
        ({"server": SERVER, "token": "s3cret\r\nX-Evil: 1"}, ["$.token"]),
        ({"server": SERVER, "token": token(exp=1)}, ["$.token"]),
        ({"server": SERVER, "token": "s3cret", "expiresAt": "soon"}, ["$.expiresAt"]),
        ({"server": SERVER, "token": "s3cret", "expiresAt": "2026-11-22T05:40:00Z"}, ["$.token"]),
        ({"server": SERVER, "token": "s3cret", "certificateAuthority": "s3cret"}, ["$.certificateAuthority"]),
        (
            {"server": SERVER, "token": "s3cret", "certificateAuthority": pem().replace("eHh4", "eHh4=", 1)},
            ["$.certificateAuthority"],
        ),
        ({"server": SERVER, "tokn": "s3cret", "token": "s3cret"}, ["$.tokn"]),
        (
            {"server": "http://x", "token": "a b", "settings": {"prxy": 1}},
            ["$.settings.prxy", "$.server", "$.token"],
        ),
    ],
)
def test_a_wrong_body_is_refused_with_its_place(body: Any, expected: list[str]) -> None:
    assert places(body) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"timeoutSeconds": 0}, "timeoutSeconds"),
        ({"timeoutSeconds": 61}, "timeoutSeconds"),
        ({"timeoutSeconds": "5"}, "timeoutSeconds"),
        ({"timeoutSeconds": True}, "timeoutSeconds"),
        ({"proxy": "http://u:s3cret@proxy.example.com"}, "proxy"),
        ({"proxy": "ftp://proxy.example.com"}, "proxy"),
        ({"proxy": "http://169.254.169.254"}, "proxy"),
        ({"tlsServerName": "a b"}, "tlsServerName"),
        ({"agentImage": "a b"}, "agentImage"),
        ({"aws": {"stsEndpoint": "http://sts.example.com"}}, "aws.stsEndpoint"),
        ({"aws": {"registryEndpoint": "https://127.0.0.1"}}, "aws.registryEndpoint"),
        ({"aws": {"httpsProxy": "http://u:s3cret@x.example.com"}}, "aws.httpsProxy"),
        ({"aws": {"noProxy": "a\nb"}}, "aws.noProxy"),
        ({"aws": {"caBundle": "s3cret"}}, "aws.caBundle"),
        ({"aws": {"sts": "x"}}, "aws.sts"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_place(settings: Any, expected: str) -> None:
    assert places({"server": SERVER, "token": "s3cret", "settings": settings}) == [f"$.settings.{expected}"]


@pytest.mark.parametrize(
    "stored",
    [
        STORED,
        Connection(server=SERVER, client_certificate="c", client_key="k", renewable=True, granted_at=NOW),
        Connection(server=SERVER),
    ],
)
def test_a_sealed_connection_comes_back_as_it_was(stored: Connection) -> None:
    assert connection.from_json(json.loads(json.dumps(connection.to_json(stored)))) == stored


def test_a_damaged_stored_connection_is_refused_without_its_values() -> None:
    with pytest.raises(ValueError, match=r"^token: expected text$"):
        connection.from_json({"server": SERVER, "token": ["s3cret"]})


def test_no_secret_shows_in_a_repr() -> None:
    shown = repr(Connection(server=SERVER, token="s3cret", client_key="s3cret"))
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, STORED),
        ({"timeoutSeconds": 3}, replace(STORED, timeout_seconds=3.0)),
        ({"timeoutSeconds": None, "proxy": None}, replace(STORED, timeout_seconds=10.0, proxy=None)),
        (
            {"aws": {"noProxy": None, "caBundle": pem()}},
            replace(STORED, aws=AwsAccess(sts_endpoint="https://sts.example.com", ca_bundle=pem())),
        ),
        ({"aws": None}, replace(STORED, aws=AwsAccess())),
    ],
)
def test_settings_alone_change_what_they_name(settings: Any, expected: Connection) -> None:
    assert update({"settings": settings}) == expected


def test_a_new_token_keeps_server_ca_and_settings() -> None:
    sent = token(sub=HUB_SUBJECT, iat=int(NOW.timestamp()), exp=int(LATER.timestamp()))
    assert update({"token": sent}) == replace(
        STORED, token=sent, granted_at=NOW, expires_at=LATER, renewable=True
    )


def test_a_new_token_may_bring_a_new_ca() -> None:
    updated = update({"token": "new", "certificateAuthority": pem() + pem()})
    assert updated == replace(STORED, token="new", certificate_authority=pem() + pem(), expires_at=None)


@pytest.mark.parametrize(
    "body",
    [
        {"server": "https://other.example.com", "token": "new"},
        {"kubeconfig": kubeconfig(user={"token": "new"})},
    ],
)
def test_a_new_access_replaces_the_old_one_and_keeps_the_settings(body: dict[str, Any]) -> None:
    server = body.get("server", SERVER)
    assert update(body) == replace(
        STORED, server=server, certificate_authority=None, token="new", expires_at=None
    )


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"server": "https://evil.example.com"}, "$.server"),
        ({"certificateAuthority": pem() + pem()}, "$.certificateAuthority"),
        ({"expiresAt": "2027-01-01T00:00:00Z"}, "$.expiresAt"),
    ],
)
def test_the_stored_credential_is_never_sent_elsewhere(body: Any, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        update(body)
    assert list(caught.value.mistakes) == [
        Mistake(path, "cannot change alone", "send the new credential in the same body")
    ]


def test_naming_the_same_server_again_changes_nothing() -> None:
    assert update({"server": SERVER, "certificateAuthority": pem()}) == STORED
