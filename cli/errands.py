"""Errands: what the hub's controller does in a cluster because somebody asked, followed from here until it is done.

The API stores the errand and dials nobody; a controller takes it up at once. Called by `pullpass doctor` and by
`pullpass clusters apply --dry-run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli import following
from cli.following import NotInTime
from cli.hub import Hub


def run(
    hub: Hub, name: str, kind: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float
) -> dict[str, Any]:
    """Asks for the errand `kind` (`-doctor`, `-preview`) and returns its result.

    Raises:
        cli.following.NotInTime: no controller did it in time.
        cli.hub.HubError: the hub refuses it.
    """
    latest = hub.request("POST", hub.cluster(name, kind), body or {})
    path = hub.cluster(name, "-errands", latest["id"])

    def finished() -> bool:
        nonlocal latest
        latest = hub.request("GET", path)
        return latest["finishedAt"] is not None

    if not following.until(finished, timeout_seconds=timeout_seconds, look_seconds=0.2):
        raise NotInTime(
            f"no controller answered for {name} within {timeout_seconds:g} seconds\n"
            f"  at: GET {hub.endpoint}{path}\n"
            "  do: see that `pullpass controller` runs beside the hub, and its log"
        )
    result: dict[str, Any] = latest["result"]
    return result
