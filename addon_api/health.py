"""Is this hub alive, is it ready, and what does it measure?"""

from __future__ import annotations

from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST

from addon_api import answers
from addon_api.routing import Route, context
from fleet.records import Role


def live() -> Response:
    """This process answers."""
    return answers.of_json({"status": "ok"})


def ready() -> Response:
    """This process reaches its database; 503 while it does not."""
    context().database.ping()
    return answers.of_json({"status": "ok"})


def measurements() -> Response:
    """Metrics in the format of Prometheus."""
    return Response(context().metrics.text(), content_type=CONTENT_TYPE_LATEST)


ROUTES = (
    Route("GET", "/healthz", live, None, "This process answers", answers={200: "Health"}),
    Route("GET", "/readyz", ready, None, "This process reaches its database", answers={200: "Health"}),
    Route(
        "GET",
        "/metrics",
        measurements,
        Role.VIEWER,
        "Metrics in the format of Prometheus: requests of this process, add-ons and connections of the whole fleet",
        answers={200: "Metrics"},
    ),
)
