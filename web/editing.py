"""Edit & Apply: the manifest as YAML, checked while it is typed, shown as a diff, and applied.

Nothing is lost when someone else changed the cluster meanwhile: both versions are shown, and the choice is plain.
The same page creates a cluster from YAML.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from flask import Response as Json
from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from fleet.records import Role
from schemas import documents
from schemas.errors import Refusal
from web import completion, connecting, manifests
from web.api import Mistake, Refused
from web.manifests import Placed
from web.routing import Page, context, principal

_NEW = """\
kind: mk8s
name: my-cluster
spec:
  version: 1.34.4
  provider:
    generic:
      location: aws-eu-central-1
  addOns:
    awsWorkloadIdentity: {}
    awsECR: {}
"""
_GONE = Placed(
    1, "$", "The cluster was removed meanwhile", "this text creates it anew, once you have gone through it"
)
_FOR_A_WHILE = {"Cache-Control": "private, max-age=300"}


def new() -> str:
    """An editor with a manifest to begin with."""
    return _editor(None, _NEW)


def edit(name: str) -> str:
    """An editor with the cluster's manifest."""
    cluster = context().api.get(principal(), "mk8s", name)
    return _editor(cluster, manifests.text_of(cluster))


def schema() -> Response:
    """What the editor completes from: JSON."""
    found = completion.of_manifests(context().api.description(principal()))
    return Json(json.dumps(found), headers=_FOR_A_WHILE, content_type="application/json")


def check() -> Response:
    """What is wrong with the text, line by line, for the editor to show: JSON. `name` is empty for a new cluster."""
    found = _mistakes(_sent(), request.form.get("name") or None)
    return Json(json.dumps([vars(each) for each in found]), content_type="application/json")


def review_new() -> str | Response | tuple[str, int]:
    """Creates the cluster, or shows the mistakes at their lines."""
    text = _sent()
    wrong = _mistakes(text)
    if wrong:
        return _editor(None, text, wrong), HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        written = context().api.call(principal(), "POST", "mk8s", body=_complete(text))
    except Refused as refused:
        if refused.status != HTTPStatus.CONFLICT:  # created by somebody else since the check
            raise
        return _editor(None, text, _mistakes(text)), HTTPStatus.CONFLICT
    return redirect(connecting.after_creating(written.body["name"]), HTTPStatus.SEE_OTHER)


def editor_of(text: str) -> str:
    """The editor for a new cluster, with `text` to begin with; for the form, which it takes over from."""
    return _editor(None, text)


def edit_again(name: str) -> str:
    """The editor with the text as it is, after a look at what it changes."""
    return _editor(_stored(name), _sent())


def review(name: str) -> str | Response | tuple[str, int]:
    """Shows what applying the text would change, or the mistakes at their lines."""
    text = _sent()
    cluster = _stored(name)
    if cluster is None:
        return _editor(None, text, (_GONE,)), HTTPStatus.CONFLICT
    wrong = _mistakes(text, name)
    if wrong:
        return _editor(cluster, text, wrong), HTTPStatus.UNPROCESSABLE_ENTITY
    return _review(cluster, text)


def apply(name: str) -> str | Response | tuple[str, int]:
    """Applies the text, if the cluster is still the one that was reviewed."""
    text, seen = _sent(), request.form.get("seen", "")
    api, who = context().api, principal()
    if _mistakes(text, name):
        return review(name)
    try:
        api.call(who, "PUT", "mk8s", name, body=_complete(text), headers={"If-Match": seen})
    except Refused as refused:
        if refused.status != HTTPStatus.PRECONDITION_FAILED:
            raise
        cluster = _stored(name)
        if cluster is None:
            return _editor(None, text, (_GONE,)), HTTPStatus.CONFLICT
        return _review(cluster, text, changed_meanwhile=True), HTTPStatus.CONFLICT
    return redirect(f"/clusters/{name}?told=applied", HTTPStatus.SEE_OTHER)


def _stored(name: str) -> Any:
    """The cluster; None where it was removed while somebody was writing: the text is worth more than a 404."""
    try:
        return context().api.get(principal(), "mk8s", name)
    except Refused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
        return None


def _sent() -> str:
    """The text, with the line ends that a form's encoding changes put back."""
    return request.form.get("manifest", "").replace("\r\n", "\n")


def _complete(text: str) -> Any:
    """What the text says, whole: no `settings` in it means that there are to be none, as the diff has shown."""
    return {"settings": {}, **documents.read_yaml(text.encode())}


def _mistakes(text: str, name: str | None = None) -> tuple[Placed, ...]:
    """The mistakes in `text`, by the API's own check; nothing is stored. `name`: of the cluster, None for a new one."""
    try:
        document = _complete(text)
    except Refusal as refusal:
        return manifests.placed(
            text, tuple(Mistake(each.path, each.message, each.hint) for each in refusal.mistakes)
        )
    method, path = ("POST", ("mk8s",)) if name is None else ("PUT", ("mk8s", name))
    try:
        context().api.call(principal(), method, *path, body=document, query={"dryRun": "true"})
    except Refused as refused:
        taken = Mistake("$.name", refused.message, "choose another name, or edit that cluster")
        return manifests.placed(text, refused.mistakes or (taken,))
    return ()


def _editor(cluster: Any, text: str, wrong: tuple[Placed, ...] = ()) -> str:
    """`cluster` is None for a new one."""
    return render_template("edit.html", cluster=cluster, text=text, wrong=wrong, section="clusters")


def _review(cluster: Any, text: str, *, changed_meanwhile: bool = False) -> str:
    """`seen` is the stored version that the diff is against: only that one is replaced."""
    stored = manifests.text_of(cluster)
    return render_template(
        "review.html",
        cluster=cluster,
        text=text,
        stored=stored,
        diff=manifests.diff(stored, text),
        seen=f'"{cluster["id"]}.{cluster["version"]}"',
        changed_meanwhile=changed_meanwhile,
        section="clusters",
    )


PAGES = (
    Page("GET", "/clusters/-new/yaml", new, Role.EDITOR),
    Page("POST", "/clusters/-new/yaml", review_new, Role.EDITOR),
    Page("GET", "/clusters/-schema", schema, Role.EDITOR),
    Page("POST", "/clusters/-check", check, Role.EDITOR),
    Page("GET", "/clusters/<name>/edit", edit, Role.EDITOR),
    Page("POST", "/clusters/<name>/edit", review, Role.EDITOR),
    Page("POST", "/clusters/<name>/edit/again", edit_again, Role.EDITOR),
    Page("POST", "/clusters/<name>/apply", apply, Role.EDITOR),
)
