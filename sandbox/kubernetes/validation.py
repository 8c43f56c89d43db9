"""What an API server refuses with 422, in its words (k8s.io/kubernetes `pkg/apis/*/validation`).

Covers what Pullpass's own objects and mistakes in them can meet, not every rule of every kind.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

from sandbox.kubernetes.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    RBAC_GROUP,
    ROLE,
    ROLE_BINDING,
    SECRET,
    Kind,
)
from sandbox.kubernetes.statuses import bad_request, cause, invalid

Object = dict[str, Any]
Causes = Iterator[dict[str, str]]

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_DATA_KEY = r"[-._a-zA-Z0-9]+"
_MAXIMUM_DATA = 1024 * 1024
_IMMUTABLE = "field is immutable"
_VOLUME_ORDER = (
    "emptyDir hostPath gitRepo secret nfs persistentVolumeClaim downwardAPI configMap csi projected ephemeral"
)
_ONLY_CONDITIONAL = (
    "admissionregistration.k8s.io",
    "coordination.k8s.io",
)  # groups where a PUT names what it replaces


def _wrong(field: str, value: Any, why: str) -> dict[str, str]:
    said = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return cause("FieldValueInvalid", field, f"Invalid value: {said}: {why}")


def _missing(field: str, why: str = "") -> dict[str, str]:
    return cause("FieldValueRequired", field, f"Required value: {why}" if why else "Required value")


def check(kind: Kind, obj: Object, old: Object | None) -> None:
    """Raises `StatusError` 422 with every mistake of `obj`, 400 for data that is not base64."""
    if kind == SECRET:
        for value in obj.get("data", {}).values():
            _check_base64(value)
    unchangeable = [] if old is None else list(_unchangeable(kind, obj, old))
    mistakes = [*_metadata(kind, obj), *_body(kind, obj)]
    causes = unchangeable + mistakes if kind == SECRET else mistakes + unchangeable
    if causes:
        raise invalid(kind, obj["metadata"].get("name", ""), causes)


def check_conditional(kind: Kind, obj: Object) -> None:
    """Raises `StatusError` 422 for a PUT without resourceVersion of a kind that does not take one."""
    if kind.group in _ONLY_CONDITIONAL and not obj["metadata"].get("resourceVersion"):
        why = "Invalid value: 0: must be specified for an update"
        causes = [cause("FieldValueInvalid", "metadata.resourceVersion", why)]
        refused = invalid(kind, obj["metadata"]["name"], causes)
        refused.message = refused.message.replace(f"{kind.kind}.{kind.group}", kind.resource, 1)
        refused.details = (refused.details or {}) | {"kind": kind.plural}
        raise refused


def _check_base64(value: str) -> None:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise bad_request(
            'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'
        ) from error


def _metadata(kind: Kind, obj: Object) -> Causes:
    metadata = obj["metadata"]
    name = metadata.get("name", "")
    if not name:
        yield _missing("metadata.name", "name or generateName is required")
    elif kind.group == RBAC_GROUP:
        if name in (".", "..") or "/" in name or "%" in name:
            yield _wrong("metadata.name", name, "may not be '.', '..', or contain '/' or '%'")
    elif kind == NAMESPACE:
        yield from _dns_label("metadata.name", name)
    elif not re.fullmatch(_SUBDOMAIN, name) or len(name) > 253:  # noqa: PLR2004 - RFC 1123
        yield _wrong(
            "metadata.name",
            name,
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        )
    for key, value in metadata.get("labels", {}).items():
        if not re.fullmatch(rf"({_SUBDOMAIN}/)?{_QUALIFIED}", key) or len(key.rsplit("/", 1)[-1]) > 63:  # noqa: PLR2004 - a label's length
            yield _wrong(
                "metadata.labels", key, "name part must consist of alphanumeric characters, '-', '_' or '.'"
            )
        if value and (not re.fullmatch(_QUALIFIED, value) or len(value) > 63):  # noqa: PLR2004 - the same
            yield _wrong(
                "metadata.labels",
                value,
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'",
            )


def _dns_label(field: str, name: str) -> Causes:
    if len(name) > 63:  # noqa: PLR2004 - RFC 1123
        yield _wrong(field, name, "must be no more than 63 characters")
    if not re.fullmatch(_LABEL, name):
        yield _wrong(
            field,
            name,
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
            "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        )


def _body(kind: Kind, obj: Object) -> Causes:
    spec = obj.get("spec", {})
    if kind in (DEPLOYMENT, DAEMON_SET):
        yield from _workload(spec)
    elif kind == POD:
        yield from _pod(spec, "spec")
    elif kind in (SECRET, CONFIG_MAP):
        yield from _data(kind, obj)
    elif kind in (ROLE, CLUSTER_ROLE):
        yield from _rules(kind, obj)
    elif kind in (ROLE_BINDING, CLUSTER_ROLE_BINDING):
        yield from _binding(kind, obj)
    elif kind.kind == "ValidatingAdmissionPolicy":
        yield from _policy(spec)
    elif kind.kind == "ValidatingAdmissionPolicyBinding":
        yield from (
            _missing(f"spec.{name}") for name in ("policyName", "validationActions") if not spec.get(name)
        )


def _policy(spec: Object) -> Causes:
    if "matchConstraints" not in spec:
        yield _missing("spec.matchConstraints")
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        yield _missing("spec.validations", "validations or auditAnnotations must contain at least one item")


def _workload(spec: Object) -> Causes:
    selector = spec.get("selector")
    template = spec.get("template", {})
    labels = template.get("metadata", {}).get("labels")
    if selector is None:
        yield _missing("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield _wrong("spec.selector", selector, "empty selector is invalid for deployment")
    wanted = (selector or {}).get("matchLabels", {})
    if selector is None or any((labels or {}).get(key) != value for key, value in wanted.items()):
        yield _wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from _pod(template.get("spec", {}), "spec.template.spec")
    strategy = spec.get("strategy", {})
    if strategy.get("type") == "Recreate" and "rollingUpdate" in strategy:
        said = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        yield cause("FieldValueForbidden", "spec.strategy.rollingUpdate", said)


def _pod(spec: Object, path: str) -> Causes:
    volumes: set[str] = set()
    for index, volume in enumerate(spec.get("volumes", ())):
        surplus = sorted(volume.keys() - {"name"}, key=_VOLUME_ORDER.find)[1:]
        for key in surplus:
            said = "Forbidden: may not specify more than 1 volume type"
            yield cause("FieldValueForbidden", f"{path}.volumes[{index}].{key}", said)
        if not surplus:
            volumes.add(volume.get("name", ""))
    if not spec.get("containers"):
        yield _missing(f"{path}.containers")
    names: set[str] = set()
    for where in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(where, ())):
            yield from _container(container, f"{path}.{where}[{index}]", volumes, names)


def _container(container: Object, here: str, volumes: set[str], names: set[str]) -> Causes:
    name = container.get("name", "")
    if name:
        yield from _dns_label(f"{here}.name", name)
    else:
        yield _missing(f"{here}.name")
    if name in names:
        yield cause("FieldValueDuplicate", f"{here}.name", f'Duplicate value: "{name}"')
    names.add(name)
    if not container.get("image"):
        yield _missing(f"{here}.image")
    for number, mount in enumerate(container.get("volumeMounts", ())):
        if mount.get("name") not in volumes:
            said = f'Not found: "{mount.get("name", "")}"'
            yield cause("FieldValueNotFound", f"{here}.volumeMounts[{number}].name", said)


def _data(kind: Kind, obj: Object) -> Causes:
    data = obj.get("data", {})
    for key in data:
        if not re.fullmatch(_DATA_KEY, key) or len(key) > 253:  # noqa: PLR2004 - a data key's length
            yield _wrong(
                f"data[{key}]",
                key,
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
                "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
            )
    size = sum(
        len(base64.b64decode(value)) if kind == SECRET else len(value.encode()) for value in data.values()
    )
    if size > _MAXIMUM_DATA:
        field = "data" if kind == SECRET else ""
        yield cause("FieldValueTooLong", field, f"Too long: may not be more than {_MAXIMUM_DATA} bytes")
    if kind == SECRET and obj.get("type") == "kubernetes.io/dockerconfigjson":
        field = "data[.dockerconfigjson]"
        if ".dockerconfigjson" not in data:
            yield _missing(field)
        else:
            try:
                json.loads(base64.b64decode(data[".dockerconfigjson"]))
            except ValueError as error:
                yield _wrong(field, "<secret contents redacted>", str(error))


def _rules(kind: Kind, obj: Object) -> Causes:
    for index, rule in enumerate(obj.get("rules", ())):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            yield _missing(f"{path}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            if kind == ROLE:
                said = rule["nonResourceURLs"]
                yield _wrong(
                    f"{path}.nonResourceURLs", said, "namespaced rules cannot apply to non-resource URLs"
                )
            continue
        if not rule.get("apiGroups"):
            yield _missing(f"{path}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield _missing(f"{path}.resources", "resource rules must supply at least one resource")


def _binding(kind: Kind, obj: Object) -> Causes:
    reference = obj.get("roleRef", {})
    if reference.get("apiGroup") != RBAC_GROUP:
        said = f'Unsupported value: "{reference.get("apiGroup", "")}": supported values: "{RBAC_GROUP}"'
        yield cause("FieldValueNotSupported", "roleRef.apiGroup", said)
    kinds = ("ClusterRole",) if kind == CLUSTER_ROLE_BINDING else ("Role", "ClusterRole")
    if reference.get("kind") not in kinds:
        supported = ", ".join(f'"{one}"' for one in kinds)
        said = f'Unsupported value: "{reference.get("kind", "")}": supported values: {supported}'
        yield cause("FieldValueNotSupported", "roleRef.kind", said)
    if not reference.get("name"):
        yield _missing("roleRef.name")
    for index, subject in enumerate(obj.get("subjects", ())):
        if not subject.get("name"):
            yield _missing(f"subjects[{index}].name")
        if (
            subject.get("kind") == "ServiceAccount"
            and not subject.get("namespace")
            and kind == CLUSTER_ROLE_BINDING
        ):
            yield _missing(f"subjects[{index}].namespace")


def _unchangeable(kind: Kind, obj: Object, old: Object) -> Causes:
    added = [
        one
        for one in obj["metadata"].get("finalizers", ())
        if one not in old["metadata"].get("finalizers", ())
    ]
    if added and "deletionTimestamp" in old["metadata"]:
        found = "[]string{" + ", ".join(f'"{one}"' for one in added) + "}"
        said = f"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {found}"
        yield cause("FieldValueForbidden", "metadata.finalizers", said)
    if kind in (DEPLOYMENT, DAEMON_SET):
        now, before = obj["spec"].get("selector"), old["spec"].get("selector")
        if now != before:
            yield _wrong("spec.selector", now, _IMMUTABLE)
    elif kind == SECRET and obj.get("type") != old.get("type"):
        yield _wrong("type", obj.get("type"), _IMMUTABLE)
    elif kind in (ROLE_BINDING, CLUSTER_ROLE_BINDING) and obj["roleRef"] != old["roleRef"]:
        reference = obj["roleRef"]
        shown = {"APIGroup": reference["apiGroup"], "Kind": reference["kind"], "Name": reference["name"]}
        yield _wrong("roleRef", shown, "cannot change roleRef")
    if old.get("immutable") and (obj.get("data") != old.get("data") or not obj.get("immutable")):
        field = "data" if obj.get("data") != old.get("data") else "immutable"
        yield cause("FieldValueForbidden", field, "Forbidden: field is immutable when `immutable` is set")
