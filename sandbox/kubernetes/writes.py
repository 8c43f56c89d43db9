"""Every change of an object: create, update, patch, apply, delete, with admission as a real API server has it built in.

Each runs under the store's lock from read to write. Called by `api` (for clients) and by `workloads` (for the
controllers a cluster has); who may do what was asked before, save for what only the object itself tells:
a create by apply, and the escalation checks of RBAC.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.kubernetes import admission, defaults, rbac, validation
from sandbox.kubernetes import field_ownership as ownership
from sandbox.kubernetes.decoding import KEPT_METADATA, decoded, decoded_config, with_head
from sandbox.kubernetes.kinds import (
    CONFIG_MAP,
    KINDS,
    NAMESPACE,
    POD,
    SERVICE_ACCOUNT,
    Kind,
    Target,
)
from sandbox.kubernetes.patches import PatchRefused, json_patched, merge_patched
from sandbox.kubernetes.statuses import (
    StatusError,
    already_exists,
    cause,
    conflict,
    forbidden,
    modified,
    not_found,
)
from sandbox.kubernetes.store import Object, Store, Stored, timestamp
from sandbox.kubernetes.types import conformed, type_of, zero

_CREATED_BY_PUT = (
    "rbac.authorization.k8s.io",
    "coordination.k8s.io",
)  # groups whose objects an update may make
_UNDELETABLE = ("default", "kube-system", "kube-public")


@dataclass(frozen=True)
class Request:
    """Who writes, and how. `may_create` is asked when an apply turns out to be a creation."""

    user: rbac.User
    manager: str
    now: datetime
    dry_run: bool = False
    may_create: Callable[[], None] = lambda: None
    strict: bool = False


@dataclass(frozen=True)
class Written:
    """What came of it; `unknown` are fields that the kind does not have, told as warnings."""

    object: Object
    created: bool = False
    unknown: tuple[str, ...] = ()
    stored: Stored | None = None


class Writer:
    """The write half of one cluster's API. `root_certificate` is what kube-root-ca.crt publishes."""

    def __init__(self, store: Store, root_certificate: str) -> None:
        self._store = store
        self._root_certificate = root_certificate

    def create(self, target: Target, body: Object, request: Request) -> Written:
        """POST of a collection."""
        kind = target.kind
        new, unknown = decoded(target, body, strict=request.strict)
        metadata = new["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + secrets.token_hex(3)[:5]
        with self._store.lock:
            for field in (*KEPT_METADATA, "resourceVersion", "managedFields"):
                metadata.pop(field, None)
            if "status" in kind.subresources:
                kept = new.pop("status", None)
                if kind.kind == "Node" and kept:
                    new["status"] = kept
            manager = ownership.Manager(request.manager, "Update", kind.api_version)
            defaults.fill(kind, new)
            of = type_of(kind)
            managers = ownership.updated(zero(of), new, of, {}, manager, now=timestamp(request.now))
            return self._created(target, new, managers, request, unknown)

    def update(self, target: Target, body: Object, request: Request) -> Written:
        """PUT of an object or its status."""
        new, unknown = decoded(target, body, strict=request.strict)
        with self._store.lock:
            if target.kind.group in _CREATED_BY_PUT and self._store.get(*_key(target)) is None:
                request.may_create()
                return self.create(target, body, request)
            live = self._live(target)
            validation.check_conditional(target.kind, new)
            return self._updated(target, live, new, request, unknown)

    def patch(self, target: Target, patch: Any, request: Request, *, json_patch: bool) -> Written:
        """PATCH by merge or JSON patch."""
        kind = target.kind
        with self._store.lock:
            live = self._live(target)
            try:
                body = json_patched(live.object, patch) if json_patch else merge_patched(live.object, patch)
            except PatchRefused as error:
                raise StatusError(422, "Invalid", str(error), {}) from error
            new, unknown = decoded(target, body, strict=request.strict)
            if kind == NAMESPACE and target.subresource == "":
                new["spec"] = live.object.get("spec", {})
            return self._updated(target, live, new, request, unknown)

    def apply(self, target: Target, config: Object, request: Request, *, force: bool) -> Written:
        """PATCH by server-side apply."""
        kind, of = target.kind, type_of(target.kind)
        config = decoded_config(target, config)
        with self._store.lock:
            live = self._store.get(kind, target.namespace, target.name)
            sent = config["metadata"].get("resourceVersion")
            if sent and (live is None or sent != live.metadata["resourceVersion"]):
                raise modified(kind, target.name) if live is not None else not_found(kind, target.name)
            if live is None and target.subresource:
                raise not_found(kind, target.name)
            if live is None:
                request.may_create()
            manager = ownership.Manager(request.manager, "Apply", kind.api_version, target.subresource)
            before = live.object if live is not None else {"metadata": {}}
            managers = live.managers if live is not None else {}
            now = timestamp(request.now)
            try:
                new, managers = ownership.applied(before, config, of, managers, manager, now=now, force=force)
            except ownership.OwnershipConflict as refused:
                raise _apply_conflict(refused) from refused
            new = with_head(kind, conformed(new, of))
            if live is None:
                new["metadata"] |= {"name": target.name}
                if target.namespace:
                    new["metadata"]["namespace"] = target.namespace
                defaults.fill(kind, new)
                return self._created(target, new, managers, request, [])
            defaults.fill(kind, new)
            return self._changed(target, live, new, managers, request, unknown=[])

    def delete(self, target: Target, options: Object, request: Request) -> tuple[Object, bool]:
        """DELETE: the last state of the object, and whether it is gone."""
        kind = target.kind
        with self._store.lock:
            live = self._live(target)
            self._check_preconditions(kind, live, options.get("preconditions") or {})
            if kind == NAMESPACE and target.name in _UNDELETABLE:
                raise forbidden(kind, target.name, "this namespace may not be deleted")
            if request.dry_run:
                return live.object, not live.metadata.get("finalizers")
            if live.metadata.get("finalizers") or kind == NAMESPACE:
                if "deletionTimestamp" not in live.metadata:
                    live = self._marked(kind, live, request.now)
                if kind == NAMESPACE:
                    self._empty(target.name, request)
                return live.object, False
            self.remove(kind, live)
            return live.object, True

    def remove(self, kind: Kind, live: Stored) -> None:
        """Takes an object out for good, and its namespace once that waited for it."""
        with self._store.lock:
            self._store.remove(kind, *live.key)
            if kind.namespaced:
                self._finish_namespace(live.key[0])

    def _marked(self, kind: Kind, live: Stored, now: datetime) -> Stored:
        metadata = live.metadata | {"deletionTimestamp": timestamp(now)}
        new = live.object | {"metadata": metadata}
        if kind == NAMESPACE:
            new["status"] = {"phase": "Terminating"}
        else:
            metadata["deletionGracePeriodSeconds"] = 0
        return self._store.write(kind, new, live.managers)

    def _empty(self, namespace: str, request: Request) -> None:
        """As the namespace controller: everything inside goes, then the namespace."""
        for kind in KINDS:
            if not kind.namespaced:
                continue
            for stored in self._store.all(kind, namespace)[0]:
                if stored.metadata.get("finalizers"):
                    if "deletionTimestamp" not in stored.metadata:
                        self._marked(kind, stored, request.now)
                else:
                    self._store.remove(kind, *stored.key)
        self._finish_namespace(namespace)

    def _finish_namespace(self, name: str) -> None:
        stored = self._store.get(NAMESPACE, "", name)
        if stored is None or "deletionTimestamp" not in stored.metadata or stored.metadata.get("finalizers"):
            return
        if not any(kind.namespaced and self._store.all(kind, name)[0] for kind in KINDS):
            self._store.remove(NAMESPACE, "", name)

    def _check_preconditions(self, kind: Kind, live: Stored, preconditions: Object) -> None:
        uid, version = preconditions.get("uid"), preconditions.get("resourceVersion")
        if uid and uid != live.metadata["uid"]:
            why = (
                f"the UID in the precondition ({uid}) does not match the UID in record ({live.metadata['uid']}). "
                "The object might have been deleted and then recreated"
            )
            raise conflict(kind, live.key[1], why)
        if version and version != live.metadata["resourceVersion"]:
            why = (
                f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
                f"({live.metadata['resourceVersion']}). The object might have been modified"
            )
            raise conflict(kind, live.key[1], why)

    def _live(self, target: Target) -> Stored:
        live = self._store.get(*_key(target))
        if live is None:
            raise not_found(target.kind, target.name)
        return live

    def _created(
        self, target: Target, new: Object, managers: ownership.Managers, request: Request, unknown: list[str]
    ) -> Written:
        kind, metadata = target.kind, new["metadata"]
        if kind.namespaced:
            admission.check_namespace(self._store, target, metadata.get("name", ""))
            metadata["namespace"] = target.namespace
        validation.check(kind, new, None)
        admission.check_escalation(self._store, request.user, kind, new, None, namespace=target.namespace)
        there = self._store.get(kind, target.namespace, metadata["name"])
        if there is not None:
            raise already_exists(kind, metadata["name"], leaving="deletionTimestamp" in there.metadata)
        if kind == POD:
            admission.admit_pod(self._store, new, target.namespace)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = timestamp(request.now)
        metadata.pop("resourceVersion", None)
        defaults.prepare(kind, new)
        if request.dry_run:
            metadata["managedFields"] = ownership.encoded(managers)
            return Written(new, created=True, unknown=tuple(unknown))
        stored = self._store.write(kind, new, managers)
        if kind == NAMESPACE:
            self.furnish(metadata["name"], request.now)
        return Written(stored.object, created=True, unknown=tuple(unknown), stored=stored)

    def furnish(self, namespace: str, now: datetime) -> None:
        """What the controllers put into every namespace: the account `default`, and the cluster's CA."""
        request = Request(
            rbac.User("system:kube-controller-manager", (rbac.MASTERS,)), "kube-controller-manager", now
        )
        account = {"metadata": {"name": "default"}}
        certificate = {
            "metadata": {
                "name": "kube-root-ca.crt",
                "annotations": {
                    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver "
                    "when using internal endpoints such as the internal service IP or kubernetes.default.svc. No "
                    "other usage is guaranteed across distributions of Kubernetes clusters."
                },
            },
            "data": {"ca.crt": self._root_certificate},
        }
        self.create(Target(SERVICE_ACCOUNT, namespace, ""), account, request)
        self.create(Target(CONFIG_MAP, namespace, ""), certificate, request)

    def _updated(
        self, target: Target, live: Stored, new: Object, request: Request, unknown: list[str]
    ) -> Written:
        kind, metadata = target.kind, new["metadata"]
        sent = metadata.get("resourceVersion")
        if sent and sent != live.metadata["resourceVersion"]:
            raise modified(kind, target.name)
        if metadata.get("uid", live.metadata["uid"]) != live.metadata["uid"]:
            why = (
                f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: "
                f"{live.metadata['uid']}"
            )
            raise conflict(kind, target.name, why)
        defaults.fill(kind, new)
        managers = live.managers
        if metadata.get("managedFields") in ([], [{}]):
            managers = {}
        self._keep(target, live, new)
        manager = ownership.Manager(request.manager, "Update", kind.api_version, target.subresource)
        now = timestamp(request.now)
        managers = ownership.updated(live.object, new, type_of(kind), managers, manager, now=now)
        return self._changed(target, live, new, managers, request, unknown=unknown)

    def _keep(self, target: Target, live: Stored, new: Object) -> None:
        """Puts back what this write may not touch."""
        old = live.object
        if target.subresource == "status":
            kept = {key: value for key, value in old.items() if key != "status"}
            status = new.get("status")
            new.clear()
            new |= kept | ({"status": status} if status is not None else {})
            new["metadata"] = dict(old["metadata"])
        elif "status" in target.kind.subresources:
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]

    def _changed(
        self,
        target: Target,
        live: Stored,
        new: Object,
        managers: ownership.Managers,
        request: Request,
        *,
        unknown: list[str],
    ) -> Written:
        kind, metadata = target.kind, new["metadata"]
        for field in KEPT_METADATA:
            metadata.pop(field, None)
            if field in live.metadata:
                metadata[field] = live.metadata[field]
        metadata |= {"name": target.name, "resourceVersion": live.metadata["resourceVersion"]}
        if kind.namespaced:
            metadata["namespace"] = target.namespace
        if "managedFields" in live.metadata:
            metadata["managedFields"] = live.metadata["managedFields"]
        else:
            metadata.pop("managedFields", None)
        validation.check(kind, new, live.object)
        admission.check_escalation(
            self._store, request.user, kind, new, live.object, namespace=target.namespace
        )
        if new == live.object and managers == live.managers:
            return Written(live.object, unknown=tuple(unknown), stored=live)
        changed = any(new.get(part) != live.object.get(part) for part in ("spec", "webhooks"))
        if defaults.has_generation(kind) and changed:
            metadata["generation"] = metadata.get("generation", 0) + 1
        if request.dry_run:
            metadata["managedFields"] = ownership.encoded(managers)
            return Written(new, unknown=tuple(unknown))
        if "deletionTimestamp" in metadata and not metadata.get("finalizers") and kind != NAMESPACE:
            self.remove(kind, live)
            metadata["managedFields"] = ownership.encoded(managers)
            return Written(new, unknown=tuple(unknown))
        stored = self._store.write(kind, new, managers)
        if kind == NAMESPACE:
            self._finish_namespace(target.name)
        return Written(stored.object, unknown=tuple(unknown), stored=stored)


def _key(target: Target) -> tuple[Kind, str, str]:
    return target.kind, target.namespace, target.name


def _apply_conflict(refused: ownership.OwnershipConflict) -> StatusError:
    causes = []
    by_manager: dict[str, list[str]] = {}
    for manager, path in refused.fields:
        said = f'"{manager.name}"'
        if manager.subresource:
            said += f' with subresource "{manager.subresource}"'
        if manager.operation == "Update":
            said += f" using {manager.api_version}"
        where = ownership.words(path)
        causes.append(cause("FieldManagerConflict", where, f"conflict with {said}"))
        by_manager.setdefault(said, []).append(where)
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        parts = [
            f"conflicts with {said}:\n" + "\n".join(f"- {where}" for where in by_manager[said])
            for said in sorted(by_manager)
        ]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(parts)
    return StatusError(409, "Conflict", message, {"causes": causes})
