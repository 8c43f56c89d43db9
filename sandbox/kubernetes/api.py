"""One cluster's Kubernetes API over HTTP: who asks, may they, and which read or write answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import yaml

from sandbox.kubernetes import discovery, rbac
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.kinds import POD, SERVICE_ACCOUNT, Target, parse_path
from sandbox.kubernetes.reads import Query, metadata_of
from sandbox.kubernetes.statuses import (
    StatusError,
    bad_request,
    cause,
    forbidden,
    method_not_allowed,
    unauthorized,
    unknown_path,
    unsupported_media_type,
)
from sandbox.kubernetes.store import dumped
from sandbox.kubernetes.tables import table
from sandbox.kubernetes.tokens import TokenRefused
from sandbox.kubernetes.writes import Request as WriteRequest
from sandbox.kubernetes.writes import Written

APPLY_TYPES = ("application/apply-patch+yaml", "application/apply-patch+json")
MERGE_TYPE = "application/merge-patch+json"
JSON_PATCH_TYPE = "application/json-patch+json"
_PATCH_TYPES = (JSON_PATCH_TYPE, MERGE_TYPE, *APPLY_TYPES)
_RETURNED_WHEN_DELETED = (POD, SERVICE_ACCOUNT)  # where others answer with a Status
_TABLE = "as=Table;v=v1"
_ANONYMOUS = rbac.User("system:anonymous", ("system:unauthenticated",))
_ADMIN = rbac.User("kubernetes-admin", (rbac.MASTERS, "system:authenticated"))


@dataclass(frozen=True)
class Call:
    """One HTTP request. `path` is behind the cluster's prefix; `deserted` tells whether the client has gone."""

    method: str
    path: str
    query_string: str
    authorization: str
    accept: str
    content_type: str
    user_agent: str
    body: bytes
    deserted: Callable[[], bool] = lambda: False

    @property
    def query(self) -> dict[str, str]:
        """The parameters; the last of a repeated one counts."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True)) if self.query_string else {}


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; a `stream` instead of a `body` for watches."""

    code: int
    body: bytes = b""
    stream: Iterator[bytes] | None = None
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=())


class KubernetesApi:
    """Answers for one cluster."""

    def __init__(self, cluster: Cluster, base_url: Callable[[], str]) -> None:
        self._cluster = cluster
        self._base_url = base_url

    def answer(self, call: Call) -> Answer:
        """Never raises: a refusal is an answer too."""
        try:
            return self._answer(call)
        except StatusError as refused:
            return Answer(refused.code, dumped(refused.status()))

    def _answer(self, call: Call) -> Answer:
        user = self._user(call.authorization)
        target = parse_path(call.path)
        if target is None:
            return self._plain(call, user)
        query = call.query
        if target.subresource == "token":
            return self._token(call, target, user)
        if target.subresource == "eviction":
            return self._evict(call, target, query, user)
        if call.method == "GET":
            return self._read(call, target, query, user)
        return self._write(call, target, query, user)

    def _user(self, authorization: str) -> rbac.User:
        if not authorization:
            return _ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise unauthorized()
        if token == self._cluster.admin_token:
            return _ADMIN
        try:
            bearer = self._cluster.tokens.verify(token, datetime.now(UTC))
        except TokenRefused as error:
            raise unauthorized() from error
        if not self._cluster.is_alive(bearer):
            raise unauthorized()
        return rbac.service_account_user(bearer.namespace, bearer.name)

    def _authorize(self, user: rbac.User, verb: str, target: Target) -> None:
        kind = target.kind
        resource = f"{kind.plural}/{target.subresource}" if target.subresource else kind.plural
        ask = rbac.Ask(verb, kind.group, resource, target.namespace, target.name)
        if target.kind.kind == "Namespace" and target.name:
            ask = rbac.Ask(verb, kind.group, resource, target.name, target.name)
        if not rbac.allowed(self._cluster.store, user, ask):
            where = f'in the namespace "{ask.namespace}"' if ask.namespace else "at the cluster scope"
            why = (
                f'User "{user.name}" cannot {verb} resource "{resource}" in API group "{kind.group}" {where}'
            )
            raise forbidden(kind, target.name, why)

    def _plain(self, call: Call, user: rbac.User) -> Answer:
        """A path that is no object."""
        if not rbac.allowed(self._cluster.store, user, rbac.Ask("get", path=call.path)):
            message = f'forbidden: User "{user.name}" cannot get path "{call.path}"'
            raise StatusError(403, "Forbidden", message, {})
        if call.method != "GET":
            raise method_not_allowed()
        if call.path in ("/readyz", "/healthz", "/livez"):
            return Answer(200, b"ok", content_type="text/plain; charset=utf-8")
        found = discovery.document(call.path, self._cluster.tokens, self._base_url())
        if found is None:
            if call.path.startswith(("/api/", "/apis/")):
                raise unknown_path()
            return Answer(404, b"404 page not found\n", content_type="text/plain; charset=utf-8")
        body, content_type, headers = found
        return Answer(200, dumped(body), content_type=content_type, headers=headers)

    def _read(self, call: Call, target: Target, query: Mapping[str, str], user: rbac.User) -> Answer:
        metadata_only = "as=PartialObjectMetadata" in call.accept
        if target.name:
            self._authorize(user, "get", target)
            found = self._cluster.reader.get(target, metadata_only=metadata_only)
            return _as_table(target, found) if _TABLE in call.accept else Answer(200, found)
        watching = query.get("watch") in ("1", "true")
        selected = Target(target.kind, target.namespace, _single_name(query))
        self._authorize(user, "watch" if watching else "list", selected)
        asked = Query(
            label_selector=query.get("labelSelector", ""),
            field_selector=query.get("fieldSelector", ""),
            limit=_number(query, "limit", 0),
            continue_token=query.get("continue", ""),
            resource_version=query.get("resourceVersion", ""),
            timeout_seconds=_number(query, "timeoutSeconds", 1800),
            bookmarks=query.get("allowWatchBookmarks") in ("1", "true"),
            metadata_only=metadata_only,
        )
        if watching:
            return Answer(200, stream=self._cluster.reader.watch(target, asked, deserted=call.deserted))
        listed = self._cluster.reader.list(target, asked)
        return _as_table(target, listed) if _TABLE in call.accept else Answer(200, listed)

    def _write(self, call: Call, target: Target, query: Mapping[str, str], user: rbac.User) -> Answer:
        writer = self._cluster.writer
        request = self._request(call, target, query, user)
        if call.method == "POST" and not target.name:
            if target.kind.namespaced and not target.namespace:
                raise method_not_allowed()
            self._authorize(user, "create", target)
            return _written(call, writer.create(target, _parsed(call, target), request))
        if call.method == "DELETE" and not target.name:
            return self._delete_collection(target, query, user, request)
        if not target.name or call.method not in ("PUT", "PATCH", "DELETE"):
            raise method_not_allowed()
        if call.method == "PUT":
            self._authorize(user, "update", target)
            return _written(call, writer.update(target, _parsed(call, target), request))
        if call.method == "PATCH":
            self._authorize(user, "patch", target)
            return self._patch(call, target, query, request)
        self._authorize(user, "delete", target)
        options = _parsed(call, target) if call.body else {}
        last, gone = writer.delete(target, options, request)
        if not gone or target.kind in _RETURNED_WHEN_DELETED:
            return Answer(200, dumped(last))
        details = {
            "name": target.name,
            "group": target.kind.group,
            "kind": target.kind.plural,
            "uid": last["metadata"]["uid"],
        }
        return _success({key: value for key, value in details.items() if value})

    def _request(self, call: Call, target: Target, query: Mapping[str, str], user: rbac.User) -> WriteRequest:
        return WriteRequest(
            user,
            query.get("fieldManager") or call.user_agent.split("/", 1)[0] or "unknown",
            datetime.now(UTC),
            dry_run=_dry_run(query),
            may_create=lambda: self._authorize(user, "create", target),
            strict=query.get("fieldValidation") == "Strict",
        )

    def _patch(self, call: Call, target: Target, query: Mapping[str, str], request: WriteRequest) -> Answer:
        media_type = call.content_type.split(";", 1)[0].strip()
        if media_type in APPLY_TYPES:
            if not query.get("fieldManager"):
                raise _field_manager_missing()
            force = query.get("force") in ("1", "true")
            return _written(
                call, self._cluster.writer.apply(target, _parsed(call, target), request, force=force)
            )
        if media_type not in (MERGE_TYPE, JSON_PATCH_TYPE):
            raise unsupported_media_type(_PATCH_TYPES)
        try:
            patch = json.loads(call.body)
        except ValueError as error:
            raise bad_request(f"error decoding patch: {error}") from error
        json_patch = media_type == JSON_PATCH_TYPE
        return _written(call, self._cluster.writer.patch(target, patch, request, json_patch=json_patch))

    def _delete_collection(
        self, target: Target, query: Mapping[str, str], user: rbac.User, request: WriteRequest
    ) -> Answer:
        self._authorize(user, "deletecollection", target)
        selection = Query(
            label_selector=query.get("labelSelector", ""), field_selector=query.get("fieldSelector", "")
        )
        for item in json.loads(self._cluster.reader.list(target, selection))["items"]:
            metadata = item["metadata"]
            one = Target(target.kind, metadata.get("namespace", ""), metadata["name"])
            self._cluster.writer.delete(one, {}, request)
        return _success({"kind": target.kind.plural})

    def _evict(self, call: Call, target: Target, query: Mapping[str, str], user: rbac.User) -> Answer:
        """No PodDisruptionBudget is asked: the sandbox has none."""
        if call.method != "POST":
            raise method_not_allowed()
        self._authorize(user, "create", target)
        options = _parsed(call, target).get("deleteOptions") or {}
        pod = Target(target.kind, target.namespace, target.name)
        self._cluster.writer.delete(pod, options, self._request(call, pod, query, user))
        return _success({}, code=201)

    def _token(self, call: Call, target: Target, user: rbac.User) -> Answer:
        if call.method != "POST":
            raise method_not_allowed()
        self._authorize(user, "create", target)
        body = _parsed(call, target)
        return Answer(201, dumped(self._cluster.request_token(target, body, datetime.now(UTC))))


def _as_table(target: Target, encoded: bytes) -> Answer:
    """For kubectl; watches of tables are not served, it falls back to objects."""
    read = json.loads(encoded)
    objects, metadata = (read["items"], read["metadata"]) if "items" in read else ([read], {})
    return Answer(200, dumped(table(target.kind, objects, metadata, datetime.now(UTC))))


def _single_name(query: Mapping[str, str]) -> str:
    """The name that a field selector narrows a list to, which RBAC's resourceNames may allow."""
    for part in query.get("fieldSelector", "").split(","):
        key, _, value = part.partition("=")
        if key == "metadata.name":
            return value.lstrip("=")
    return ""


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


def _dry_run(query: Mapping[str, str]) -> bool:
    value = query.get("dryRun", "")
    if value not in ("", "All"):
        message = f'Invalid value: "{value}": supported values: "All"'
        raise StatusError(
            422, "Invalid", f"dryRun: {message}", {"causes": [cause("FieldValueInvalid", "dryRun", message)]}
        )
    return value == "All"


def _parsed(call: Call, target: Target) -> Any:
    if "protobuf" in call.content_type or "cbor" in call.content_type:
        raise unsupported_media_type(("application/json", "application/yaml"))
    try:
        if call.body[:1] == b"{" or "yaml" not in call.content_type:
            return json.loads(call.body)
        return yaml.safe_load(call.body)
    except (ValueError, yaml.YAMLError) as error:
        said = f"the object provided is unrecognized (must be of type {target.kind.kind}): couldn't get version/kind; json parse error: {error}"
        raise bad_request(said) from error


def _field_manager_missing() -> StatusError:
    why = "Required value: is required for apply patch"
    causes = [cause("FieldValueRequired", "fieldManager", why)]
    details = {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": causes}
    message = f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {why}'
    return StatusError(422, "Invalid", message, details)


def _written(call: Call, written: Written) -> Answer:
    if "as=PartialObjectMetadata" in call.accept:
        body = dumped(metadata_of(written.object))
    else:
        body = written.stored.encoded if written.stored is not None else dumped(written.object)
    warnings = tuple(
        ("Warning", f'299 - "unknown field \\"{name.lstrip(".")}\\""') for name in written.unknown
    )
    return Answer(201 if written.created else 200, body, headers=warnings)


def _success(details: dict[str, Any], *, code: int = 200) -> Answer:
    made = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    return Answer(code, dumped(made))
