"""Everything a kubelet would refuse to start on, checked before anything on the node is touched.

`plan` calls it with the configuration as it is (a mistake of somebody else's: leave the kubelet alone) and as it would
be. The rules are those of `pkg/credentialprovider/plugin` in Kubernetes 1.30 to 1.34 and of the strict decoder ahead
of it; https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/ describes the fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agent.node import provider_config
from agent.node.host import Host

GATE = "KubeletServiceAccountTokenForCredentialProviders"
DIRECTORY_SINCE = TOKENS_SINCE = (1, 34)
SUFFIXES = (".json", ".yaml", ".yml")
_GROUP = "kubelet.config.k8s.io"
_VERSIONS = (f"{_GROUP}/v1", f"{_GROUP}/v1beta1", f"{_GROUP}/v1alpha1")
_PLUGIN = "credentialprovider.kubelet.k8s.io"
_PLUGIN_VERSIONS = (f"{_PLUGIN}/v1", f"{_PLUGIN}/v1beta1", f"{_PLUGIN}/v1alpha1")
_TOP = {"apiVersion", "kind", "providers"}
_PROVIDER = {"name", "matchImages", "defaultCacheDuration", "apiVersion", "args", "env"}
_TOKEN = {
    "serviceAccountTokenAudience",
    "cacheType",
    "requireServiceAccount",
    "requiredServiceAccountAnnotationKeys",
    "optionalServiceAccountAnnotationKeys",
}
_CACHE_TYPES = ("ServiceAccount", "Token")
_DURATION = re.compile(r"^[+]?(?:0|(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+$")
_IMAGE = re.compile(r"^[^\s/:%?#]+(?::\d{1,5})?(?:/[^\s]*)?$")
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


def documents(
    texts: Mapping[str, str],
    *,
    host: Host,
    bin_directory: str,
    tokens_allowed: bool,
    ours_present: bool = False,
) -> list[str]:
    """Why a kubelet would refuse these configuration files (path to text); empty when it would not.

    Args:
        texts: one file, or all files of a directory.
        host: where the plugins lie.
        bin_directory: the folder of the plugins.
        tokens_allowed: whether this kubelet takes `tokenAttributes`.
        ours_present: our own plugin counts as there: it is put there before the configuration is.
    """
    wrong: list[str] = []
    names: list[str] = []
    for path, text in texts.items():
        try:
            content = provider_config.load(text)
        except provider_config.ConfigError as error:
            wrong.append(f"{path}: {error}")
            continue
        found = _document(content, tokens_allowed=tokens_allowed)
        wrong += [f"{path}: {one}" for one in found]
        providers = content.get("providers")
        if isinstance(providers, list):
            names += [str(one.get("name")) for one in providers if isinstance(one, dict)]
    wrong += [
        f"provider {name!r} is there twice" for name in sorted({one for one in names if names.count(one) > 1})
    ]
    if not names and not wrong:
        wrong.append("providers: at least one is required")
    made_by_us = {provider_config.PROVIDER_NAME} if ours_present else set()
    if host.kind(bin_directory) != "directory" and not set(names) <= made_by_us:
        wrong.append(f"{bin_directory}: the folder of the plugins is not there")
    wrong += [
        f"{bin_directory}/{name}: no such program, but the provider {name!r} names it"
        for name in dict.fromkeys(names)
        if name not in made_by_us and not host.executable(f"{bin_directory}/{name}")
    ]
    return wrong


def version_of(text: str) -> tuple[int, int] | None:
    """Major and minor of `v1.34.4+k3s1`, `Kubernetes v1.34.4`; None when there is none."""
    match = _VERSION.search(text)
    return (int(match[1]), int(match[2])) if match else None


def takes_tokens(version: tuple[int, int] | None, gates: Mapping[str, bool]) -> bool:
    """Whether a kubelet hands service account tokens to a plugin: 1.34 and later, unless its gate is off."""
    return version is not None and version >= TOKENS_SINCE and gates.get(GATE, True)


def _document(content: Mapping[str, Any], *, tokens_allowed: bool) -> list[str]:
    wrong = [f"{name}: unknown field" for name in sorted(set(content) - _TOP)]
    if content.get("apiVersion") not in _VERSIONS:
        wrong.append(f"apiVersion: expected one of {', '.join(_VERSIONS)}")
    if content.get("kind") != "CredentialProviderConfig":
        wrong.append("kind: expected CredentialProviderConfig")
    providers = content.get("providers")
    if not isinstance(providers, list) or not providers:
        return [*wrong, "providers: at least one is required"]
    fields = _PROVIDER | ({"tokenAttributes"} if content.get("apiVersion") == _VERSIONS[0] else set())
    for position, provider in enumerate(providers):
        where = f"providers[{position}]"
        if not isinstance(provider, dict):
            wrong.append(f"{where}: expected an object")
            continue
        wrong += [f"{where}.{one}" for one in _provider(provider, fields, tokens_allowed=tokens_allowed)]
    return wrong


def _provider(provider: Mapping[str, Any], fields: set[str], *, tokens_allowed: bool) -> list[str]:
    wrong = [f"{name}: unknown field" for name in sorted(set(provider) - fields)]
    name = provider.get("name")
    if not isinstance(name, str) or not name or name in (".", "..") or "/" in name or " " in name:
        wrong.append("name: expected the name of a program, without '/' and spaces")
    if provider.get("apiVersion") not in _PLUGIN_VERSIONS:
        wrong.append(f"apiVersion: expected one of {', '.join(_PLUGIN_VERSIONS)}")
    images = provider.get("matchImages")
    if not isinstance(images, list) or not images:
        wrong.append("matchImages: at least one is required")
    else:
        wrong += [
            f"matchImages: {one!r} is no image pattern"
            for one in images
            if not (isinstance(one, str) and _IMAGE.match(one))
        ]
    duration = provider.get("defaultCacheDuration")
    if not isinstance(duration, str) or not _DURATION.match(duration):
        wrong.append("defaultCacheDuration: required, a duration such as 12h, not negative")
    arguments = provider.get("args")
    if arguments is not None and not (
        isinstance(arguments, list) and all(isinstance(one, str) for one in arguments)
    ):
        wrong.append("args: expected a list of texts")
    wrong += _environment(provider.get("env"))
    if provider.get("tokenAttributes") is not None and "tokenAttributes" in fields:
        wrong += _tokens(provider, tokens_allowed=tokens_allowed)
    return wrong


def _environment(variables: object) -> list[str]:
    if variables is None:
        return []
    if not isinstance(variables, list):
        return ["env: expected a list"]
    good = all(
        isinstance(one, dict)
        and set(one) <= {"name", "value"}
        and all(isinstance(part, str) for part in one.values())
        for one in variables
    )
    return [] if good else ["env: expected a name and a value, both texts, in each"]


def _tokens(provider: Mapping[str, Any], *, tokens_allowed: bool) -> list[str]:
    attributes = provider["tokenAttributes"]
    if not isinstance(attributes, dict):
        return ["tokenAttributes: expected an object"]
    wrong = [f"{name}: unknown field" for name in sorted(set(attributes) - _TOKEN)]
    if not tokens_allowed:
        wrong.append(f"needs Kubernetes 1.34 or later with the feature gate {GATE} on")
    if provider.get("apiVersion") != _PLUGIN_VERSIONS[0]:
        wrong.append(f"only for a provider of {_PLUGIN_VERSIONS[0]}")
    if not attributes.get("serviceAccountTokenAudience"):
        wrong.append("serviceAccountTokenAudience: required")
    if attributes.get("cacheType") not in _CACHE_TYPES:
        wrong.append(f"cacheType: expected one of {', '.join(_CACHE_TYPES)}")
    needed = attributes.get("requireServiceAccount")
    if not isinstance(needed, bool):
        wrong.append("requireServiceAccount: required, true or false")
    wrong += _annotation_keys(attributes)
    return [f"tokenAttributes.{one}" for one in wrong]


def _annotation_keys(attributes: Mapping[str, Any]) -> list[str]:
    required = attributes.get("requiredServiceAccountAnnotationKeys") or []
    optional = attributes.get("optionalServiceAccountAnnotationKeys") or []
    wrong: list[str] = []
    if required and attributes.get("requireServiceAccount") is False:
        wrong.append("requiredServiceAccountAnnotationKeys: only with requireServiceAccount true")
    if len({*required, *optional}) != len(required) + len(optional):
        wrong.append("annotation keys: one is there twice")
    return wrong
