from __future__ import annotations

from schemas.status import AddOnStatus, ClusterStatus, State
from tests.support.hub import CONNECTION, Hub, manifest

DEMO = "/org/acme/mk8s/demo"


def blocked(hub: Hub) -> int:
    """Cluster demo, connected, looked at and waiting for a person; its generation."""
    hub.put(manifest())
    hub.call("PUT", f"{DEMO}/-connection", json=CONNECTION)
    generation = hub.stored("demo").generation
    status = ClusterStatus(observed_generation=generation, add_ons={"awsECR": AddOnStatus(State.BLOCKED)})
    hub.report("demo", status)
    return generation


def test_a_look_answers_with_the_generation_to_wait_for(hub: Hub) -> None:
    before = blocked(hub)
    answer = hub.call("POST", f"{DEMO}/-look", caller="editor")
    status = (answer.json or {})["status"]
    assert (202, before + 1, before) == (
        answer.status_code,
        status["generation"],
        status["observedGeneration"],
    )


def test_writers_do_not_notice_a_look(hub: Hub) -> None:
    blocked(hub)
    tag = hub.get(DEMO).headers["ETag"]
    hub.call("POST", f"{DEMO}/-look")
    assert tag == hub.get(DEMO).headers["ETag"]


def test_there_is_nothing_to_look_at_without_a_connection(hub: Hub) -> None:
    hub.put(manifest())
    assert 409 == hub.call("POST", f"{DEMO}/-look").status_code


def test_a_viewer_has_nobody_look(hub: Hub) -> None:
    blocked(hub)
    assert 403 == hub.call("POST", f"{DEMO}/-look", caller="viewer").status_code


def test_a_cluster_of_another_organisation_is_not_looked_at(hub: Hub) -> None:
    blocked(hub)
    assert 404 == hub.call("POST", "/org/acme/mk8s/other/-look").status_code
