"""Tables, which kubectl asks for and prints (meta.k8s.io/v1 Table): a few columns that tell a person what matters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sandbox.kubernetes.kinds import DEPLOYMENT, POD, SECRET, Kind
from sandbox.kubernetes.reads import META_VERSION, metadata_of
from sandbox.kubernetes.store import Object

_COLUMNS: dict[Kind, tuple[str, ...]] = {
    POD: ("Ready", "Status", "Restarts"),
    DEPLOYMENT: ("Ready", "Up-to-date", "Available"),
    SECRET: ("Type", "Data"),
}


def table(kind: Kind, objects: list[Object], metadata: Object, now: datetime) -> Object:
    """The answer to `Accept: application/json;as=Table;v=v1;g=meta.k8s.io`."""
    names = ("Name", *_COLUMNS.get(kind, ()), "Age")
    columns = [
        {
            "name": name,
            "type": "string",
            "format": "name" if name == "Name" else "",
            "description": "",
            "priority": 0,
        }
        for name in names
    ]
    rows = [
        {
            "cells": [one["metadata"]["name"], *_cells(kind, one), _age(one, now)],
            "object": metadata_of(one),
        }
        for one in objects
    ]
    return {
        "kind": "Table",
        "apiVersion": META_VERSION,
        "metadata": metadata,
        "columnDefinitions": columns,
        "rows": rows,
    }


def _cells(kind: Kind, obj: Object) -> list[Any]:
    status = obj.get("status", {})
    if kind == POD:
        containers = status.get("containerStatuses", [])
        ready = sum(one["ready"] for one in containers)
        waiting = [one["state"]["waiting"]["reason"] for one in containers if "waiting" in one["state"]]
        said = waiting[0] if waiting else status.get("phase", "")
        return [
            f"{ready}/{len(obj['spec']['containers'])}",
            said,
            str(sum(one["restartCount"] for one in containers)),
        ]
    if kind == DEPLOYMENT:
        wanted = obj["spec"].get("replicas", 1)
        ready = status.get("readyReplicas", 0)
        return [
            f"{ready}/{wanted}",
            str(status.get("updatedReplicas", 0)),
            str(status.get("availableReplicas", 0)),
        ]
    if kind == SECRET:
        return [obj.get("type", ""), str(len(obj.get("data", {})))]
    return []


def _age(obj: Object, now: datetime) -> str:
    made = datetime.strptime(obj["metadata"]["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    seconds = int((now - made).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"
