from __future__ import annotations

from fleet.statuses import NewEvent
from tests.support.hub import Hub, manifest, status

PATH = "/org/acme/mk8s/demo/-eventlog"


def test_the_newest_stands_first(hub: Hub) -> None:
    hub.put(manifest())
    hub.clock.pass_seconds(1)
    hub.report("demo", status(), NewEvent("Warning", "Unreachable", "no route", {"server": "https://x"}))
    log = hub.get(PATH).json
    assert log is not None
    assert (log["kind"], log["itemKind"]) == ("list", "event")
    newest = log["items"][0]
    assert newest == {
        "kind": "event",
        "id": newest["id"],
        "created": "2026-11-22T05:40:01Z",
        "status": "Warning",
        "reason": "Unreachable",
        "message": "no route",
        "context": {"server": "https://x", "reason": "Unreachable", "message": "no route"},
    }


def test_the_log_is_paged(hub: Hub) -> None:
    hub.put(manifest())
    for number in range(3):
        hub.report("demo", status(), NewEvent("Normal", f"Step{number}", ""))
    seen = []
    path: str | None = f"{PATH}?limit=2"
    while path is not None:
        page = hub.get(path).json
        assert page is not None
        seen += [item["reason"] for item in page["items"]]
        path = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    assert seen == ["Step2", "Step1", "Step0", "Created"]


def test_a_place_that_is_none_is_refused(hub: Hub) -> None:
    hub.put(manifest())
    assert hub.get(f"{PATH}?after=x").status_code == 400
