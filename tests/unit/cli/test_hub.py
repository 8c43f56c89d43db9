from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from cli.hub import Hub, HubError
from tests.support.processes import free_port


class Canned(http.server.BaseHTTPRequestHandler):
    answer: tuple[int, bytes] = (200, b"{}")

    def do_GET(self) -> None:
        status, body = type(self).answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Canned)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def refusal(endpoint: str, status: int, body: bytes) -> str:
    Canned.answer = (status, body)
    with pytest.raises(HubError) as caught:
        Hub(endpoint, "token").request("GET", "/org/acme/mk8s/demo")
    return caught.value.message


def test_an_answer_is_its_json(endpoint: str) -> None:
    Canned.answer = (200, b'{"name": "demo"}')
    assert {"name": "demo"} == Hub(endpoint, "token").request("GET", "/org/acme/mk8s/demo")


def test_every_mistake_of_a_refusal_is_shown(endpoint: str) -> None:
    details = [
        {"path": "$.a", "message": "is wrong", "hint": "mend it"},
        {"path": "$.b", "message": "is missing"},
    ]
    body = json.dumps({"message": "2 mistakes", "details": details}).encode()
    told = ["2 mistakes", "  $.a: is wrong (mend it)", "  $.b: is missing"]
    assert told == refusal(endpoint, 400, body).splitlines()[:3]


def test_a_refusal_says_where_and_under_which_id(endpoint: str) -> None:
    body = json.dumps({"message": "no", "id": "5f0c"}).encode()
    where = f"  at: GET {endpoint}/org/acme/mk8s/demo (409, request 5f0c)"
    assert ["no", where] == refusal(endpoint, 409, body).splitlines()


def test_a_single_mistake_is_said_once(endpoint: str) -> None:
    details = [{"path": "$.a", "message": "is wrong", "hint": "mend it"}]
    body = json.dumps({"message": "$.a: is wrong (mend it)", "details": details}).encode()
    assert 1 == refusal(endpoint, 400, body).count("is wrong")


def test_only_for_a_cluster_that_is_not_there_the_list_is_of_use(endpoint: str) -> None:
    advice = "  do: pullpass clusters list"
    assert advice in refusal(endpoint, 404, b'{"message": "cluster acme/nobody does not exist"}')
    assert "  do:" not in refusal(endpoint, 404, b'{"message": "nothing is published for demo"}')


def test_a_token_that_is_not_known_says_how_to_sign_in(endpoint: str) -> None:
    assert f"  do: pullpass login {endpoint}" in refusal(endpoint, 401, b"{}")


def test_something_else_that_answers_there_is_not_taken_for_a_hub(endpoint: str) -> None:
    assert "is it a Pullpass hub?" in refusal(endpoint, 502, b"<html>")


def test_nobody_there_is_said_with_the_address() -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(HubError, match=endpoint):
        Hub(endpoint, "token").request("GET", "/")
