"""Who may do what: the permissions of the wire contract as this hub's roles grant them.

Each role of a token is a set of permissions; `routing.Route.role` is what is enforced, this is how it is told.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response

from addon_api import answers, representation
from addon_api.routing import Route, context
from fleet import clusters, tokens
from fleet.records import ClusterKey, Role

_DESCRIPTIONS: Mapping[str, str] = {
    "view": "Read clusters, their events and audit",
    "create": "Create clusters",
    "edit": "Change clusters and their add-ons",
    "delete": "Remove clusters",
    "connect": "Store how a cluster is reached",
    "manage": "Everything",
}
_IMPLIED: Mapping[str, tuple[str, ...]] = {
    "manage": ("connect", "create", "delete", "edit", "view"),
    "connect": ("view",),
    "create": ("view",),
    "delete": ("view",),
    "edit": ("view",),
}
GRANTED: Mapping[Role, tuple[str, ...]] = {
    Role.VIEWER: ("view",),
    Role.EDITOR: ("create", "delete", "edit"),
    Role.ADMIN: ("manage",),
}
"""What a role grants by name; what these imply comes with them."""


def show(org: str) -> Response:  # noqa: ARG001 - every organisation has the same
    """The permissions there are, and which come with which."""
    return answers.of_json(
        {
            "kind": "permissions",
            "itemKind": representation.KIND,
            "items": [{"name": name, "description": text} for name, text in _DESCRIPTIONS.items()],
            "implied": {name: list(implied) for name, implied in _IMPLIED.items()},
        }
    )


def report(org: str, name: str) -> Response:
    """For each permission, the tokens that hold it and by which grant."""
    here = context()
    clusters.read(here.database, ClusterKey(org, name))
    now = here.now()
    holders = [
        token
        for token in tokens.page(here.database, org)
        if token.expires_at is None or token.expires_at > now
    ]
    return answers.of_json(
        {
            "kind": "accessreport",
            "permissions": [
                {
                    "name": permission,
                    "bindings": [
                        {
                            "principalLink": answers.principal_link(org, token.name),
                            "grantedPermissions": granted,
                        }
                        for token in holders
                        if (granted := _granting(token.role, permission))
                    ],
                }
                for permission in _DESCRIPTIONS
            ],
        }
    )


def _granting(role: Role, permission: str) -> list[str]:
    """The grants of `role` that are or imply `permission`."""
    return [grant for grant in GRANTED[role] if permission == grant or permission in _IMPLIED.get(grant, ())]


ROUTES = (
    Route(
        "GET",
        "/org/<org>/mk8s/-schema/permissions",
        show,
        Role.VIEWER,
        "The permissions on clusters, and which come with which",
        answers={200: "Permissions"},
    ),
    Route(
        "GET",
        "/org/<org>/mk8s/<name>/-accessreport",
        report,
        Role.ADMIN,
        "Which tokens hold which permission on the cluster",
        answers={200: "AccessReport"},
    ),
)
