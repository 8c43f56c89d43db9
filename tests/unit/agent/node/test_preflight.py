from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.node import preflight
from agent.node.host import FakeHost

PROVIDER: dict[str, Any] = {
    "name": "theirs",
    "matchImages": ["*.example.com", "registry.io:5000/path"],
    "defaultCacheDuration": "12h",
    "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
}
CONTENT: dict[str, Any] = {
    "apiVersion": "kubelet.config.k8s.io/v1",
    "kind": "CredentialProviderConfig",
    "providers": [PROVIDER],
}
TOKEN: dict[str, Any] = {
    "serviceAccountTokenAudience": "sts.amazonaws.com",
    "cacheType": "ServiceAccount",
    "requireServiceAccount": True,
    "requiredServiceAccountAnnotationKeys": ["eks.amazonaws.com/ecr-role-arn"],
}


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    found = FakeHost(tmp_path)
    found.make_directory("/plugins")
    found.write("/plugins/theirs", b"#!/bin/sh\n", 0o755)
    return found


def check(
    host: FakeHost, *contents: dict[str, Any], tokens: bool = True, folder: str = "/plugins"
) -> list[str]:
    texts = {f"/{number}.json": json.dumps(content) for number, content in enumerate(contents)}
    return preflight.documents(texts, host=host, bin_directory=folder, tokens_allowed=tokens)


def with_provider(**fields: Any) -> dict[str, Any]:
    provider = {name: value for name, value in {**PROVIDER, **fields}.items() if value is not ...}
    return {**CONTENT, "providers": [provider]}


def test_a_good_one_passes(host: FakeHost) -> None:
    assert [] == check(host, CONTENT)


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
def test_every_version_passes(host: FakeHost, version: str) -> None:
    assert [] == check(host, {**CONTENT, "apiVersion": f"kubelet.config.k8s.io/{version}"})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**CONTENT, "extra": 1}, "extra: unknown field"),
        ({**CONTENT, "apiVersion": "v1"}, "apiVersion: expected"),
        ({**CONTENT, "kind": "KubeletConfiguration"}, "kind: expected"),
        ({**CONTENT, "providers": []}, "at least one"),
        ({**CONTENT, "providers": None}, "at least one"),
        ({**CONTENT, "providers": [PROVIDER, PROVIDER]}, "twice"),
        ({**CONTENT, "providers": ["theirs"]}, "expected an object"),
        (with_provider(extra=1), "providers[0].extra: unknown field"),
        (with_provider(name="a/b"), "name: expected"),
        (with_provider(name="a b"), "name: expected"),
        (with_provider(name=".."), "name: expected"),
        (with_provider(name="absent"), "/plugins/absent: no such program"),
        (with_provider(apiVersion=...), "apiVersion: expected"),
        (with_provider(apiVersion="v2"), "apiVersion: expected"),
        (with_provider(matchImages=...), "matchImages: at least one"),
        (with_provider(matchImages=["a b"]), "no image pattern"),
        (with_provider(matchImages=["https://a"]), "no image pattern"),
        (with_provider(defaultCacheDuration=...), "defaultCacheDuration: required"),
        (with_provider(defaultCacheDuration="-1h"), "defaultCacheDuration: required"),
        (with_provider(defaultCacheDuration="12 hours"), "defaultCacheDuration: required"),
        (with_provider(args="--v=2"), "args: expected"),
        (with_provider(env=[{"name": "A", "val": "1"}]), "env: expected"),
        (with_provider(env={"A": "1"}), "env: expected"),
        (with_provider(tokenAttributes={**TOKEN, "extra": 1}), "tokenAttributes.extra: unknown"),
        (with_provider(tokenAttributes={**TOKEN, "cacheType": None}), "cacheType: expected"),
        (with_provider(tokenAttributes={**TOKEN, "serviceAccountTokenAudience": ""}), "Audience: required"),
        (
            with_provider(tokenAttributes={**TOKEN, "requireServiceAccount": None}),
            "requireServiceAccount: required",
        ),
        (
            with_provider(tokenAttributes={**TOKEN, "requireServiceAccount": False}),
            "only with requireServiceAccount true",
        ),
        (
            with_provider(tokenAttributes={**TOKEN, "requiredServiceAccountAnnotationKeys": ["a", "a"]}),
            "twice",
        ),
        (with_provider(tokenAttributes=[]), "tokenAttributes: expected an object"),
        (
            with_provider(tokenAttributes=TOKEN, apiVersion="credentialprovider.kubelet.k8s.io/v1beta1"),
            "only for a provider of",
        ),
        (
            {**with_provider(tokenAttributes=TOKEN), "apiVersion": "kubelet.config.k8s.io/v1beta1"},
            "tokenAttributes: unknown field",
        ),
    ],
)
def test_what_a_kubelet_refuses_is_found_ahead_of_it(
    host: FakeHost, content: dict[str, Any], words: str
) -> None:
    found = check(host, content)
    assert words in "; ".join(found)


def test_token_attributes_need_the_gate(host: FakeHost) -> None:
    content = with_provider(tokenAttributes=TOKEN)
    assert [] == check(host, content)
    assert preflight.GATE in "; ".join(check(host, content, tokens=False))


def test_a_name_in_two_files_of_a_directory_is_refused(host: FakeHost) -> None:
    assert ["provider 'theirs' is there twice"] == check(host, CONTENT, CONTENT)


def test_a_missing_folder_of_plugins_is_refused(host: FakeHost) -> None:
    assert "/nowhere: the folder of the plugins is not there" in check(host, CONTENT, folder="/nowhere")


def test_a_plugin_that_may_not_be_executed_is_refused(host: FakeHost) -> None:
    host.write("/plugins/theirs", b"", 0o644)
    assert "no such program" in "; ".join(check(host, CONTENT))


def test_a_text_that_is_no_yaml_is_refused(host: FakeHost) -> None:
    found = preflight.documents({"/a": "a: ["}, host=host, bin_directory="/plugins", tokens_allowed=True)
    assert "/a: cannot be read" in found[0]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.34.4", (1, 34)),
        ("Kubernetes v1.30.0-eks-1", (1, 30)),
        ("k3s version v1.33.1+k3s1 (x)", (1, 33)),
        ("", None),
    ],
)
def test_a_version_is_read_from_what_kubelets_say(text: str, version: tuple[int, int] | None) -> None:
    assert version == preflight.version_of(text)


@pytest.mark.parametrize(
    ("version", "gates", "taken"),
    [
        ((1, 34), {}, True),
        ((1, 33), {}, False),
        ((1, 33), {preflight.GATE: True}, False),
        ((1, 35), {preflight.GATE: False}, False),
        (None, {}, False),
    ],
)
def test_tokens_are_for_kubelets_that_take_them(
    version: tuple[int, int] | None, gates: dict[str, bool], taken: bool
) -> None:
    assert taken == preflight.takes_tokens(version, gates)
