"""Who asks, and may they: the check before every view. What no route says to be open needs a token.

No token, or one that is not known: 401. Another organisation's path: 404, as if it were not there. A role that is
too small: 403.
"""

from __future__ import annotations

from flask import g, request

from addon_api.routing import Route, context
from fleet import tokens
from fleet.records import Principal
from schemas.errors import Forbidden, NotFound, Unauthenticated

# The console asks in this process, as whoever is signed in (`web.api`). The name of no header can come to be this one.
PRINCIPAL = "pullpass.principal"


def check() -> None:
    """Lets the request through and remembers its principal, or raises a refusal.

    A path that is no route needs a token as well: without one, nobody learns which paths there are.
    """
    here = context()
    route = here.routes.get(request.endpoint or "")
    if route is not None and route.role is None:
        return
    g.browsable = route is not None and route.browsable
    found = _principal(browsable=g.browsable)
    g.principal = found
    if route is not None:
        _authorise(route, found)


def _principal(*, browsable: bool) -> Principal:
    signed_in = request.environ.get(PRINCIPAL)
    if isinstance(signed_in, Principal):
        return signed_in
    text = _sent(browsable=browsable)
    if not text:
        raise Unauthenticated("send a token: Authorization: Bearer TOKEN")
    here = context()
    found = tokens.authenticate(here.database, text, now=here.now())
    if found is None:
        raise Unauthenticated("this token is not known, was revoked, or has expired")
    return found


def _sent(*, browsable: bool) -> str | None:
    """The token of this request: after `Bearer`, or bare, as the Terraform provider sends `CPLN_TOKEN`."""
    header = request.headers.get("Authorization", "").strip()
    if header and " " not in header:
        return header
    sent = request.authorization
    if sent is not None and sent.type == "bearer":
        return sent.token
    if sent is not None and sent.type == "basic" and browsable:
        return sent.password
    return None


def _authorise(route: Route, principal: Principal) -> None:
    org = (request.view_args or {}).get("org")
    if org is not None and org != principal.org:
        raise NotFound(f"there is no organisation {org!r} for this token")
    if route.role is not None and principal.role < route.role:
        needed, held = route.role.name.lower(), principal.role.name.lower()
        raise Forbidden(f"this needs the role {needed}; the token has {held}")
