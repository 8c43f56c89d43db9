"""Every error of every route leaves in one shape."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any, NoReturn

import pytest
import structlog
from flask import Response
from werkzeug.test import TestResponse

from addon_api.app import ApiSettings
from addon_api.routing import Context, Route
from fleet.database import Database
from fleet.errors import DatabaseUnavailable
from fleet.records import Role
from tests.support.hub import Hub, make_hub, manifest

PATHS = {"<org>": "acme", "<name>": "demo", "<issuer_id>": "none", "<resource_id>": "none"}


def routes(hub: Hub) -> list[Route]:
    context: Context = hub.app.extensions["pullpass"]
    return list(context.routes.values())


def path_of(route: Route, org: str = "acme") -> str:
    path = route.path.replace("<org>", org)
    for parameter, value in PATHS.items():
        path = path.replace(parameter, value)
    return path


def assert_is_problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = json.loads(answer.text)
    assert list(body) == ["status", "code", "name", "message", "title", "detail", "details", "id"]
    assert (status, status, code) == (answer.status_code, body["status"], body["code"])
    assert body["message"]
    assert body["message"] == body["detail"]
    assert "\n" not in answer.text.strip()
    assert body["id"] == answer.headers["X-Request-Id"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    return body


def test_no_token_is_401_on_every_route_but_health_and_oidc(hub: Hub) -> None:
    open_paths = set()
    for route in routes(hub):
        answer = hub.call(route.method, path_of(route), caller=None)
        if route.role is None:
            open_paths.add(route.path)
            assert answer.status_code != 401
        else:
            assert_is_problem(answer, 401, "UNAUTHENTICATED")
    assert {
        "/healthz",
        "/readyz",
        "/discovery",
        "/oidc/<issuer_id>/.well-known/openid-configuration",
        "/oidc/<issuer_id>/openid/v1/jwks",
    } == open_paths


def test_an_unknown_path_needs_a_token_too(hub: Hub) -> None:
    assert_is_problem(hub.get("/nothing", caller=None), 401, "UNAUTHENTICATED")


def test_another_organisations_paths_are_404_on_every_route(hub: Hub) -> None:
    for route in routes(hub):
        if "<org>" in route.path:
            answer = hub.call(route.method, path_of(route), caller="stranger", json=manifest())
            assert_is_problem(answer, 404, "NOT_FOUND")


def test_a_role_that_is_too_small_is_403_on_every_route(hub: Hub) -> None:
    smaller = {Role.EDITOR: "viewer", Role.ADMIN: "editor"}
    for route in routes(hub):
        if route.role in smaller:
            answer = hub.call(route.method, path_of(route), caller=smaller[route.role], json=manifest())
            assert_is_problem(answer, 403, "FORBIDDEN")


def test_what_is_not_there_is_404_on_every_route_that_names_something(hub: Hub) -> None:
    for route in routes(hub):
        if {"<name>", "<issuer_id>", "<resource_id>"} & set(route.path.split("/")):
            body = {"fingerprint": "SHA256:none", "server": "https://x.example.com", "token": "t"}
            if route.method in {"PUT", "PATCH"} and not route.path.endswith("-connection"):
                continue  # PUT makes what is not there; PATCH has a test of its own
            if route.path.endswith("/-audit"):
                continue  # what was done to a cluster is there when the cluster is gone
            assert_is_problem(hub.call(route.method, path_of(route), json=body), 404, "NOT_FOUND")


def test_patching_what_is_not_there_is_404(hub: Hub) -> None:
    assert_is_problem(hub.call("PATCH", "/org/acme/mk8s/demo", json={}), 404, "NOT_FOUND")


def test_an_unknown_path_is_404(hub: Hub) -> None:
    assert_is_problem(hub.get("/org/acme/mk8s/demo/-nothing"), 404, "NOT_FOUND")


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS"])
def test_another_method_is_405_on_every_path_and_says_which_are_taken(hub: Hub, method: str) -> None:
    for route in routes(hub):
        answer = hub.call(method, path_of(route))
        assert_is_problem(answer, 405, "METHOD_NOT_ALLOWED")
        assert route.method in answer.headers["Allow"].split(", ")


def test_a_body_that_is_too_large_is_413_on_every_route(database: Database) -> None:
    hub = make_hub(database, ApiSettings(max_body_bytes=100))
    for route in routes(hub):
        if route.role is not None:
            answer = hub.call(route.method, path_of(route), data=b" " * 101, content_type="application/json")
            assert_is_problem(answer, 413, "CONTENT_TOO_LARGE")


@pytest.mark.parametrize(("size", "status", "code"), [(100, 400, "INVALID"), (101, 413, "CONTENT_TOO_LARGE")])
def test_a_body_in_chunks_is_never_cut_off_without_a_word(
    database: Database, size: int, status: int, code: str
) -> None:
    hub = make_hub(database, ApiSettings(max_body_bytes=100))
    answer = hub.call(
        "PUT",
        "/org/acme/mk8s",
        input_stream=BytesIO(b"{}".ljust(size)),
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )
    assert_is_problem(answer, status, code)


def test_a_body_that_is_neither_json_nor_yaml_is_415_on_every_route_with_a_body(hub: Hub) -> None:
    for route in routes(hub):
        if route.body is not None:
            answer = hub.call(route.method, path_of(route), data=b"<xml/>", content_type="text/xml")
            assert_is_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_bug_is_500_on_every_route_and_shows_nothing_of_itself(hub: Hub) -> None:
    def broken(**_: str) -> NoReturn:
        raise RuntimeError("password=hunter2")

    for route in routes(hub):
        hub.app.view_functions[route.endpoint] = broken
        answer = hub.call(route.method, path_of(route))
        assert_is_problem(answer, 500, "INTERNAL")
        assert "hunter2" not in answer.text
        assert "Traceback" not in answer.text


def test_a_database_that_does_not_answer_is_503_and_says_when_to_come_back(hub: Hub) -> None:
    def unreachable(**_: str) -> Response:
        raise DatabaseUnavailable("connection to postgres.internal refused")

    for route in routes(hub):
        hub.app.view_functions[route.endpoint] = unreachable
        answer = hub.call(route.method, path_of(route))
        assert_is_problem(answer, 503, "UNAVAILABLE")
        assert answer.headers["Retry-After"] == "2"
        assert "postgres.internal" not in answer.text


def test_a_wrong_body_lists_every_mistake_with_its_path(hub: Hub) -> None:
    body = assert_is_problem(hub.put({"name": "demo", "spec": {"provider": {"generic": {}}}}), 400, "INVALID")
    paths = [detail["path"] for detail in body["details"]]
    assert "$.spec.version" in paths
    assert "$.spec.provider.generic.location" in paths


def test_a_request_id_that_was_sent_comes_back(hub: Hub) -> None:
    answer = hub.get("/nothing", headers={"X-Request-Id": "from-the-proxy.1"})
    assert answer.json["id"] == "from-the-proxy.1"  # type: ignore[index]


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, '"><script>'])
def test_a_request_id_that_could_not_stand_in_a_log_is_replaced(hub: Hub, sent: str) -> None:
    answer = hub.get("/healthz", headers={"X-Request-Id": sent})
    assert sent != answer.headers["X-Request-Id"]
    assert len(answer.headers["X-Request-Id"]) == 32


def test_the_log_of_a_bug_holds_the_stack_and_no_variable(hub: Hub) -> None:
    def broken(**_: str) -> NoReturn:
        password = "hunter2"
        raise RuntimeError(f"{len(password)} characters")

    hub.app.view_functions["clusters.list_clusters"] = broken
    with structlog.testing.capture_logs() as logs:
        answer = hub.get("/org/acme/mk8s")
    [entry] = logs
    assert (entry["event"], entry["request_id"]) == ("request failed", answer.headers["X-Request-Id"])
    assert "RuntimeError: 7 characters" in entry["traceback"]
    assert hub.admin not in str(entry)
