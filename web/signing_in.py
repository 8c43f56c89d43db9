"""Signing in and out: the check before every page, the session's cookie, and the proof that a form is ours.

A token is pasted, or a link that works once is followed; either way the browser gets a cookie that no script reads and
no other site sends (HttpOnly, SameSite=Strict). A form carries a value that only a page of this session can know.
"""

from __future__ import annotations

import hashlib
import hmac
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from flask import g, redirect, render_template, request
from werkzeug.wrappers import Response

from fleet import sessions, tokens
from fleet.records import Principal
from web import errors
from web.routing import Page, context, principal, session

_COOKIE = "pullpass-session"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SAFE = frozenset({"GET", "HEAD"})


def check(page: Page | None) -> Response | None:
    """Lets the request through, or answers it: to the sign-in page, 403 for a forged form or a role too small."""
    if request.method not in _SAFE and not _from_here():
        return errors.refuse(HTTPStatus.FORBIDDEN, "This form was not sent from here", _FORGED)
    text = request.cookies.get(_COOKIE, "")
    here = context()
    found = sessions.find(here.database, text, now=here.now()) if text else None
    g.session = found
    if page is None or page.role is None:
        return None
    if found is None:
        return _to_sign_in()
    g.form_key = _form_key(text)
    if request.method not in _SAFE and not hmac.compare_digest(request.form.get("form_key", ""), g.form_key):
        return errors.refuse(HTTPStatus.FORBIDDEN, "This form is no longer valid", _FORGED)
    if found.principal.role < page.role:
        needed, held = page.role.name.lower(), found.principal.role.name.lower()
        return errors.refuse(
            HTTPStatus.FORBIDDEN, "Not with this token", f"This needs the role {needed}; yours is {held}."
        )
    return None


_FORGED = "Nothing was changed. Go back, load the page again, and send it once more."


def show() -> Response | str:
    """The sign-in page; with `?code=` the page that uses a link."""
    here = context()
    code = request.args.get("code", "")
    invited = sessions.link_of(here.database, code, now=here.now()) if code else None
    if g.session is not None and not code:
        return redirect("/clusters", HTTPStatus.SEE_OTHER)
    message = (
        "" if invited or not code else "This link was used already, or has expired. Paste a token instead."
    )
    return render_template("sign_in.html", code=code, invited=invited, message=message, target=_target())


def sign_in() -> Response | tuple[str, int]:
    """Opens a session for a token or a link."""
    here = context()
    now = here.now()
    code, token = request.form.get("code", ""), request.form.get("token", "").strip()
    if code:
        found = sessions.use_link(here.database, code, now=now)
        message = "This link was used already, or has expired. Paste a token instead."
    else:
        found = tokens.authenticate(here.database, token, now=now) if token else None
        message = (
            "No token of this hub reads like that: it may be mistyped, revoked or expired."
            if token
            else "Paste a token first."
        )
    if found is None:
        page = render_template("sign_in.html", code="", invited=None, message=message, target=_target())
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    return _welcome(found)


def sign_out() -> Response:
    """Ends this session."""
    sessions.end(context().database, principal(), session().id)
    response = redirect("/sign-in", HTTPStatus.SEE_OTHER)
    response.delete_cookie(_COOKIE, path="/")
    return response


def list_sessions() -> str:
    """Where this token is signed in."""
    here = context()
    return render_template(
        "sessions.html", sessions=sessions.page(here.database, principal(), now=here.now()), own=session().id
    )


def end_session(session_id: str) -> Response:
    """Ends one of them."""
    sessions.end(context().database, principal(), session_id)
    return redirect("/sessions", HTTPStatus.SEE_OTHER)


def _welcome(found: Principal) -> Response:
    here = context()
    browser = request.headers.get("User-Agent", "")
    text = sessions.open_session(here.database, found, browser=browser, now=here.now())
    response = redirect(_target(), HTTPStatus.SEE_OTHER)
    response.set_cookie(
        _COOKIE,
        text,
        max_age=int(sessions.LIFE.total_seconds()),
        httponly=True,
        samesite="Strict",
        secure=not _on_loopback(),
        path="/",
    )
    return response


def _to_sign_in() -> Response:
    if request.headers.get("HX-Request") == "true":
        # A fragment must not become the sign-in page: the whole page goes there, and comes back.
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
        way = _way_to_sign_in(f"{page.path}?{page.query}".rstrip("?"))
        return Response(status=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": way})
    wanted = request.full_path.rstrip("?") if request.method in _SAFE else "/"
    return redirect(_way_to_sign_in(wanted), HTTPStatus.SEE_OTHER)


def _way_to_sign_in(wanted: str) -> str:
    return "/sign-in" if wanted in {"", "/"} else f"/sign-in?to={quote(wanted, safe='')}"


def _target() -> str:
    """Where to go afterwards: a path of the console, whatever the query says."""
    wanted = request.values.get("to", "")
    parts = urlsplit(wanted)
    ours = (
        wanted.startswith("/")
        and wanted.isprintable()  # browsers drop tabs and line ends: "/\t/elsewhere" would be "//elsewhere"
        and not wanted.startswith(("//", "/\\"))
        and not parts.netloc
        and not parts.scheme
    )
    return wanted if ours else "/clusters"


def _from_here() -> bool:
    """Whether a browser says that the request comes from a page of ours; one that says nothing is believed.

    https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site; the form's own value is the other lock.
    """
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    return site in {"same-origin", "none"} and (origin is None or urlsplit(origin).netloc == request.host)


def _form_key(text: str) -> str:
    """What the forms of a session carry: it cannot be guessed without the cookie, nor the cookie be read from it."""
    return hashlib.sha256(b"pullpass form key:" + text.encode()).hexdigest()


def _on_loopback() -> bool:
    host = urlsplit(f"//{request.host}").hostname
    return host in _LOOPBACK


PAGES = (
    Page("GET", "/sign-in", show, role=None),
    Page("POST", "/sign-in", sign_in, role=None),
    Page("POST", "/sign-out", sign_out),
    Page("GET", "/sessions", list_sessions),
    Page("POST", "/sessions/<session_id>/end", end_session),
)
