"""`-look`: have a cluster looked at now instead of with the next look, after something was mended there or in AWS."""

from __future__ import annotations

from flask import Response

from addon_api import answers, clusters
from addon_api.routing import Route, context, principal
from fleet import looking
from fleet.records import ClusterKey, Role


def look(org: str, name: str) -> Response:
    """Makes the cluster due, and answers with it: it was looked at once `observedGeneration` is its `generation`."""
    here = context()
    looked = looking.look(here.database, principal(), ClusterKey(org, name), now=here.now())
    return answers.of_json(clusters.shown(here, org, [looked])[0], status=202)


ROUTES = (
    Route(
        "POST",
        "/org/<org>/mk8s/<name>/-look",
        look,
        Role.EDITOR,
        "Have a controller look at the cluster now, and its agent walk to AWS again",
        answers={202: "Cluster"},
    ),
)
