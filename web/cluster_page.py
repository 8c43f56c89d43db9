"""One cluster: its add-ons as switches, what happens as it happens, and what is to be pasted into AWS.

`show` is the page, `live` the part of it that is asked for again as long as the page is open. Switching is a form.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from flask import Response as Download
from flask import make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from fleet.records import Role
from schemas.times import parse_time
from web import aws_setup, aws_side, highlighting, journey, remedies
from web.api import Json, Refused
from web.routing import Page, context, principal

_EVENTS_SHOWN = 6
_HEEDED_WITHIN = timedelta(seconds=30)
_FLAG = re.compile(r"--service-account-\S+")
# What each add-on is for, in the words of somebody who has never heard of it.
PURPOSES = {
    "awsWorkloadIdentity": "Lets pods of this cluster assume IAM roles with their own service account tokens.",
    "awsECR": "Lets this cluster pull private ECR images, without a stored AWS key.",
}
_TOLD = {
    "created": "The cluster was created. Connect it next.",
    "connected": "The connection was stored. What happens next appears below.",
    "applied": "The manifest was applied.",
    "on": "Switched on. What happens appears below.",
    "off": "Switched off. Pullpass takes back what it installed.",
    "mended": "The remedy was applied. What happens appears below.",
    "looking": "Looking now. What is found appears below.",
}


def show(name: str) -> str:
    """The whole page."""
    return _page(name)


def live(name: str) -> Response:
    """The part that changes; 204 when it is what the page shows already."""
    try:
        cluster, events = _read(name)
    except Refused as refused:
        if refused.status != HTTPStatus.NOT_FOUND:
            raise
        return make_response(render_template("cluster_gone.html", name=name))
    if request.args.get("seen") == _digest(cluster, events, unheeded=_is_unheeded(cluster, events)):
        return Response(status=HTTPStatus.NO_CONTENT)
    scene = _scene(cluster, events)
    news = "" if request.args.get("stood") == scene["stood"] else _news(scene)
    return make_response(render_template("cluster_live.html", **scene, news=news))


def look(name: str) -> Response | str | tuple[str, int]:
    """Has the cluster looked at now: somebody mended something. With scripts the page stays where it is scrolled to."""
    try:
        context().api.call(principal(), "POST", "mk8s", name, "-look")
    except Refused as refused:
        return _refused(name, refused)
    if request.headers.get("HX-Request") == "true":
        scene = _scene(*_read(name))
        return make_response(render_template("cluster_live.html", **scene, news=_TOLD["looking"]))
    return redirect(f"/clusters/{name}?told=looking", HTTPStatus.SEE_OTHER)


def switch(name: str, add_on: str) -> Response | str | tuple[str, int]:
    """Switches an add-on on or off: a patch of the manifest, as `curl` would send it."""
    if request.form.get("to") == "off":
        body: Json = {"spec": {"addOns": {add_on: None}}}
        told = "off"
    else:
        block = {}
        role = request.form.get("roleArn", "").strip()
        if role:
            block["roleArn"] = role
        needed: Json = {"awsWorkloadIdentity": {}} if add_on == "awsECR" else {}
        body = {"spec": {"addOns": {**needed, add_on: block}}}
        told = "on"
    try:
        context().api.call(principal(), "PATCH", "mk8s", name, body=body)
    except Refused as refused:
        return _refused(name, refused)
    return redirect(f"/clusters/{name}?told={told}", HTTPStatus.SEE_OTHER)


def mend(name: str) -> Response | str | tuple[str, int]:
    """Applies a remedy that the API can."""
    try:
        known = remedies.apply(context().api, principal(), name, request.form)
    except Refused as refused:
        return _refused(name, refused)
    told = "?told=mended" if known else ""
    return redirect(f"/clusters/{name}{told}", HTTPStatus.SEE_OTHER)


def ask_before_switching_off(name: str, add_on: str) -> str:
    """What switching off does to running pods, before it is done."""
    cluster = context().api.get(principal(), "mk8s", name)
    enabled = cluster["spec"].get("addOns") or {}
    found = cluster["status"]["addOns"].get("awsECR") or {}
    settings = cluster["settings"].get("awsECR") or {}
    return render_template(
        "switch_off.html",
        cluster=cluster,
        add_on=add_on,
        needed_by="awsECR" if add_on != "awsECR" and enabled.get("awsECR") is not None else "",
        published=(cluster["settings"].get("awsWorkloadIdentity") or {}).get("issuer") == "published",
        changed_nodes=_changed_nodes(found.get("nodes") or {}),
        namespaces=(found.get("namespaces") or {}).get("selected", 0),
        by_pull_secrets=found.get("delivery") in {"pullSecret", "mixed"} and bool(found.get("namespaces")),
        turns=(settings.get("node") or {}).get("maxUnavailable") or 1,
        expires_at=(found.get("credentials") or {}).get("expiresAt"),
        custom_resources=(found.get("customResources") or {}).get("total", 0),
        labelled_secrets=(found.get("labelledSecrets") or {}).get("total", 0),
        webhook=bool((cluster["status"]["addOns"].get(add_on, {}).get("webhook") or {}).get("served")),
        section="clusters",
    )


def _changed_nodes(nodes: Json) -> int:
    """How many nodes have something of ours: those whose own provider serves were left as they are."""
    return int(nodes.get("ready", 0) - nodes.get("existing", 0) + nodes.get("restarting", 0))


def download_policy(name: str) -> Response:
    """A policy as a file: the role's trust policy, this cluster's statement alone (`?cluster=only`), or permissions."""
    api, who = context().api, principal()
    alone = request.args.get("cluster") == "only"
    path = ("mk8s", name, "-addons", "awsECR", "trustPolicy")
    return _download(
        api.get(who, *path, cluster="only" if alone else None),
        f"{name}-statement.json" if alone else f"{name}-trust-policy.json",
    )


def download_permissions(name: str) -> Response:
    """What the role has to be allowed, as a file for `aws iam put-role-policy`."""
    cluster = context().api.get(principal(), "mk8s", name)
    found = (cluster["status"]["addOns"].get("awsECR") or {}).get("permissionsPolicy")
    if found is None:
        raise Refused(HTTPStatus.NOT_FOUND, "NOT_FOUND", f"nothing is known of what {name} pulls")
    return _download(found, f"{name}-permissions.json")


def _download(policy: Json, file: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{file}"'}
    return Download(highlighting.pretty(policy) + "\n", headers=headers, content_type="application/json")


def _page(name: str, refused: Refused | None = None) -> str:
    """`refused`: what was wrong with the form that was just sent, whose fields are shown again."""
    sent = request.form if refused is not None else {}
    told = "" if refused is not None else _TOLD.get(request.args.get("told", ""), "")
    scene = _scene(*_read(name))
    return render_template("cluster.html", **scene | {"sent": sent}, refused=refused, told=told, news="")


def _refused(name: str, refused: Refused) -> tuple[str, int]:
    if refused.status not in {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT}:
        raise refused
    return _page(name, refused), HTTPStatus.UNPROCESSABLE_ENTITY


def _read(name: str) -> tuple[Json, list[Json]]:
    api, who = context().api, principal()
    events = api.get(who, "mk8s", name, "-eventlog", limit=_EVENTS_SHOWN)["items"]
    return api.get(who, "mk8s", name), events


def _digest(cluster: Json, events: list[Json], *, unheeded: bool) -> str:
    return _mark([cluster, [event["id"] for event in events], unheeded])


def _is_behind(status: Json) -> bool:
    """Whether a change, or a look that was asked for, has not been acted on."""
    return bool(status["connected"] and status.get("observedGeneration", 0) < status["generation"])


def _is_unheeded(cluster: Json, events: list[Json]) -> bool:
    """Whether that has been so for longer than a controller that runs would leave it."""
    moments = [cluster["lastModified"], *(event["created"] for event in events[:1])]
    waited = context().now() - max(parse_time(moment) for moment in moments)
    return _is_behind(cluster["status"]) and waited > _HEEDED_WITHIN


def _mark(content: Json) -> str:
    """For the id of a part of the page that is to stay as it is (open, scrolled, selected) while its content does."""
    return hashlib.sha256(highlighting.pretty(content).encode()).hexdigest()[:12]


def _scene(cluster: Json, events: list[Json]) -> dict[str, Any]:
    """All that the page and its live part show."""
    who, status = principal(), cluster["status"]
    add_ons = [_add_on(cluster, key) for key in reversed(PURPOSES)]
    behind, unheeded = _is_behind(status), _is_unheeded(cluster, events)
    soon = behind or "removal" in status or journey.under_way([each["status"] for each in add_ons])
    editable = "removal" not in status
    return {
        "section": "clusters",
        "cluster": cluster,
        "provider": next(iter(cluster["spec"]["provider"])),
        "standing": status["standing"],
        "add_ons": add_ons,
        "issues": _issues(cluster),
        "aws": _aws(cluster),
        "events": events,
        "conditions": _conditions(status),
        "may_edit": who.role >= Role.EDITOR and editable,
        "may_connect": who.role >= Role.ADMIN and editable,
        "may_look": who.role >= Role.EDITOR and status["connected"],
        "looking": soon,
        "looked_at": next((each["created"] for each in events if each["reason"] == "LookRequested"), None),
        "pause": "500ms" if soon and status["connected"] else "4s",
        "behind": behind,
        "unheeded": unheeded,
        "stood": " ".join([status["standing"], *(str(each["status"]["state"]) for each in add_ons)]),
        "digest": _digest(cluster, events, unheeded=unheeded),
        "mark": _mark,
        "sent": {},
    }


def _news(scene: dict[str, Any]) -> str:
    """What a screen reader says when a state has changed."""
    states = [f"{each['key']} is {each['status']['state']}" for each in scene["add_ons"] if each["on"]]
    return ". ".join([f"{scene['cluster']['name']} is {scene['standing']}", *states])


def _add_on(cluster: Json, key: str) -> dict[str, Any]:
    block = (cluster["spec"].get("addOns") or {}).get(key)
    status = cluster["status"]["addOns"].get(key, {"state": "Disabled", "conditions": [], "issues": []})
    return {
        "key": key,
        "purpose": PURPOSES[key],
        "on": block is not None,
        "leaving": block is None and status["state"] == "Removing",
        "status": status,
        "steps": journey.steps(key, status) if cluster["status"]["connected"] else (),
        "role_arn": (block or {}).get("roleArn") or "",
        "asks_for_role": key == "awsECR",
        "needs_role": "aws" not in cluster["spec"]["provider"],
    }


def _aws(cluster: Json) -> dict[str, Any] | None:
    if (cluster["spec"].get("addOns") or {}).get("awsECR") is None or "removal" in cluster["status"]:
        return None
    found = aws_side.of_cluster(cluster)
    alone = None
    if found["sharers"] > 1:
        path = ("mk8s", cluster["name"], "-addons", "awsECR", "trustPolicy")
        alone = context().api.get(principal(), *path, cluster="only")
    return found | {
        "alone_markup": "" if alone is None else highlighting.highlighted(alone),
        "setup": aws_setup.of_cluster(cluster["name"]) if found["policy"] is not None else None,
    }


def _issues(cluster: Json) -> list[dict[str, Any]]:
    """Each issue once, the cluster's own first, with the remedy that is a form, if there is one."""
    status = cluster["status"]
    found = list(status["issues"])
    for add_on in status["addOns"].values():
        found += [issue for issue in add_on["issues"] if issue not in found]
    role = principal().role
    shown = []
    for issue in found:
        remedy = remedies.BY_CODE.get(issue["code"])
        shown.append(
            {
                **issue,
                "form": remedy if remedy is not None and role >= remedy.role else None,
                "needs_role": "" if remedy is None or role >= remedy.role else remedy.role.name.lower(),
                "by_connecting": issue["code"] in remedies.BY_CONNECTING,
                "by_looking": issue["code"] not in remedies.NOT_BY_LOOKING,
                "flags": _FLAG.findall(issue["remedy"]) if issue["code"] == "IssuerNotSwitched" else [],
                "keys": _keys(cluster["name"]) if issue["code"] == "IssuerKeysChanged" else None,
            }
        )
    return shown


def _keys(name: str) -> Json:
    """The published issuer, with the fingerprints of the keys that are served and of those that wait."""
    return context().api.get(principal(), "mk8s", name, "-issuer")


def _conditions(status: Json) -> list[dict[str, Any]]:
    """The cluster's own conditions, and each add-on's, without those that only repeat the cluster's."""
    own = {condition["type"] for condition in status["conditions"]}
    groups = [{"name": "Cluster", "conditions": status["conditions"]}]
    for key in reversed(PURPOSES):
        add_on = status["addOns"].get(key, {"conditions": []})
        found = [condition for condition in add_on["conditions"] if condition["type"] not in own]
        groups += [{"name": key, "conditions": found}] if found else []
    return groups


PAGES = (
    Page("GET", "/clusters/<name>", show),
    Page("GET", "/clusters/<name>/live", live),
    Page("GET", "/clusters/<name>/trust-policy", download_policy),
    Page("GET", "/clusters/<name>/permissions-policy", download_permissions),
    Page("GET", "/clusters/<name>/add-ons/<add_on>/off", ask_before_switching_off, Role.EDITOR),
    Page("POST", "/clusters/<name>/add-ons/<add_on>", switch, Role.EDITOR),
    Page("POST", "/clusters/<name>/mend", mend, Role.EDITOR),
    Page("POST", "/clusters/<name>/look", look, Role.EDITOR),
)
