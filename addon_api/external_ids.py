"""`-external-id`: what the hub sends whenever it assumes a role for the organisation, and the trust policy that asks for it.

Read-only: an external id that a user could choose would let one organisation use the roles of another.
"""

from __future__ import annotations

from flask import Response

from addon_api import answers
from addon_api.routing import Route, context
from fleet import external_ids
from fleet.records import Role

# Stands where the operator has not said who the hub is in IAM.
_UNKNOWN_PRINCIPAL = "${HUB_PRINCIPAL}"


def show(org: str) -> Response:
    """The external id, the hub's principal where it is known, and the trust policy of a role for the hub alone."""
    here = context()
    external_id = external_ids.of_organisation(here.database, org)
    principal = here.settings.aws_principal
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": principal or _UNKNOWN_PRINCIPAL},
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }
    return answers.of_json(
        {
            "kind": "externalId",
            "externalId": external_id,
            "principal": principal,
            "trustPolicy": {"Version": "2012-10-17", "Statement": [statement]},
        }
    )


ROUTES = (
    Route(
        "GET",
        "/org/<org>/-external-id",
        show,
        Role.VIEWER,
        "The external id that the hub sends with every role it assumes for this organisation",
        answers={200: "ExternalId"},
    ),
)
