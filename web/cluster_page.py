"""One cluster: its add-ons as switches, what happens as it happens, and what is to be pasted into AWS.

`show` is the page, `live` the part of it that is asked for again as long as the page is open. Switching is a form.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any

from flask import Response as Download
from flask import make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from fleet.records import Role
from web import highlighting, journey
from web.api import Json, Refused
from web.routing import Page, context, principal

_EVENTS_SHOWN = 8
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
}


def show(name: str) -> str:
    """The whole page."""
    return render_template("cluster.html", **_scene(name), told=_TOLD.get(request.args.get("told", ""), ""))


def live(name: str) -> Response:
    """The part that changes; 204 when it is what the page shows already."""
    scene = _scene(name)
    if request.args.get("seen") == scene["digest"]:
        return Response(status=HTTPStatus.NO_CONTENT)
    return make_response(render_template("cluster_live.html", **scene))


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
        if refused.status != HTTPStatus.BAD_REQUEST:
            raise
        page = render_template(
            "cluster.html", **_scene(name), told="", refused=refused, sent=request.form.get("roleArn", "")
        )
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    return redirect(f"/clusters/{name}?told={told}", HTTPStatus.SEE_OTHER)


def ask_before_switching_off(name: str, add_on: str) -> str:
    """What switching off does to running pods, before it is done."""
    cluster = context().api.get(principal(), "mk8s", name)
    others = [] if add_on == "awsECR" else _enabled(cluster, "awsECR")
    return render_template(
        "switch_off.html",
        cluster=cluster,
        add_on=add_on,
        others=others,
        section="clusters",
        **_pull_facts(cluster),
    )


def download_policy(name: str) -> Response:
    """The trust policy as a file for `aws iam update-assume-role-policy`."""
    policy = context().api.get(principal(), "mk8s", name, "-addons", "awsECR", "trustPolicy")
    headers = {"Content-Disposition": f'attachment; filename="{name}-trust-policy.json"'}
    return Download(highlighting.pretty(policy) + "\n", headers=headers, content_type="application/json")


def mend(name: str) -> Response:
    """Applies a remedy that is a change of the manifest's own settings."""
    body = {"publish-issuer": {"settings": {"awsWorkloadIdentity": {"issuer": "published"}}}}[
        request.form["remedy"]
    ]
    context().api.call(principal(), "PATCH", "mk8s", name, body=body)
    return redirect(f"/clusters/{name}?told=mended", HTTPStatus.SEE_OTHER)


def _scene(name: str) -> dict[str, Any]:
    """All that the page and its live part show."""
    api, who = context().api, principal()
    cluster = api.get(who, "mk8s", name)
    events = api.get(who, "mk8s", name, "-eventlog", limit=_EVENTS_SHOWN)["items"]
    status = cluster["status"]
    add_ons = [_add_on(cluster, key) for key in PURPOSES]
    registries = status["addOns"].get("awsECR")
    scene = {
        "section": "clusters",
        "cluster": cluster,
        "provider": next(iter(cluster["spec"]["provider"])),
        "standing": status["standing"],
        "add_ons": add_ons,
        "issues": _issues(status),
        "aws": _aws_side(cluster, registries) if registries is not None else None,
        "events": events,
        "may_edit": who.role >= Role.EDITOR,
        "may_connect": who.role >= Role.ADMIN,
        "pause": "1s" if journey.under_way([each["status"] for each in add_ons if each["on"]]) else "3s",
        "behind": status.get("observedGeneration", 0) < status["generation"],
        "refused": None,
        "sent": "",
    }
    seen = highlighting.pretty([cluster, [event["id"] for event in events]])
    return scene | {"digest": hashlib.sha256(seen.encode()).hexdigest()[:16]}


def _add_on(cluster: Json, key: str) -> dict[str, Any]:
    on = bool(_enabled(cluster, key))
    status = cluster["status"]["addOns"].get(key, {"state": "Disabled", "conditions": [], "issues": []})
    provider = next(iter(cluster["spec"]["provider"]))
    return {
        "key": key,
        "purpose": PURPOSES[key],
        "on": on,
        "status": status,
        "steps": journey.steps(status),
        "role_arn": (cluster["spec"].get("addOns") or {}).get(key, {}).get("roleArn", "") if on else "",
        "asks_for_role": key == "awsECR",
        "needs_role": key == "awsECR" and provider != "aws",
    }


def _aws_side(cluster: Json, registries: Json) -> dict[str, Any]:
    status = cluster["status"]
    provider = status["addOns"].get("awsWorkloadIdentity", {}).get("oidcProviderConfig") or {}
    policy = registries.get("trustPolicy")
    role = (
        cluster["spec"]["addOns"].get("awsECR", {}).get("roleArn", "") if _enabled(cluster, "awsECR") else ""
    )
    role_name = role.rpartition("/")[2] or "ROLE_NAME"
    file = f"{cluster['name']}-trust-policy.json"
    commands = {
        "provider": "aws iam create-open-id-connect-provider"
        f" --url {provider.get('providerUrl', '')} --client-id-list {provider.get('audience', '')}",
        "audience": "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn"
        f" {_provider_arn(policy)} --client-id {provider.get('audience', '')}",
        "trust": f"aws iam update-assume-role-policy --role-name {role_name} --policy-document file://{file}",
        "permissions": f"aws iam attach-role-policy --role-name {role_name}"
        " --policy-arn arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
    }
    if not role:
        commands["trust"] = (
            f"aws iam create-role --role-name pullpass --assume-role-policy-document file://{file}"
        )
    return {
        "provider_url": provider.get("providerUrl", ""),
        "audience": provider.get("audience", ""),
        "policy": policy,
        "policy_markup": highlighting.highlighted(policy) if policy is not None else "",
        "role_arn": role,
        "sharers": len(policy["Statement"]) if policy is not None else 0,
        "items": journey.checklist(registries),
        "commands": commands,
    }


def _provider_arn(policy: Json) -> str:
    return "" if policy is None else str(policy["Statement"][0]["Principal"]["Federated"])


def _issues(status: Json) -> list[Json]:
    """Each issue once, the cluster's own first."""
    found = list(status["issues"])
    for add_on in status["addOns"].values():
        found += [issue for issue in add_on["issues"] if issue not in found]
    return found


def _enabled(cluster: Json, key: str) -> list[str]:
    return [key] if (cluster["spec"].get("addOns") or {}).get(key) is not None else []


def _pull_facts(cluster: Json) -> dict[str, Any]:
    registries = cluster["status"]["addOns"].get("awsECR") or {}
    return {
        "nodes": (registries.get("nodes") or {}).get("desired", 0),
        "namespaces": (registries.get("namespaces") or {}).get("selected", 0),
        "expires_at": (registries.get("credentials") or {}).get("expiresAt"),
    }


PAGES = (
    Page("GET", "/clusters/<name>", show),
    Page("GET", "/clusters/<name>/live", live),
    Page("GET", "/clusters/<name>/trust-policy", download_policy),
    Page("GET", "/clusters/<name>/add-ons/<add_on>/off", ask_before_switching_off, Role.EDITOR),
    Page("POST", "/clusters/<name>/add-ons/<add_on>", switch, Role.EDITOR),
    Page("POST", "/clusters/<name>/mend", mend, Role.EDITOR),
)
