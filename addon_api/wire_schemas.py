"""The schemas that the OpenAPI document names: requests from `schemas`, answers as `representation` makes them."""

from __future__ import annotations

from collections.abc import Mapping

from marshmallow import Schema

from fleet.errands import ErrandKind
from fleet.standing import Standing
from schemas.connection_bodies import ConnectionSchema
from schemas.manifest import ManifestSchema, SettingsSchema
from schemas.query import QuerySchema
from schemas.status import Json, State

_TEXT: Json = {"type": "string"}
_TIME: Json = {"type": "string", "format": "date-time"}
_INTEGER: Json = {"type": "integer"}
_BOOLEAN: Json = {"type": "boolean"}


def _nullable(kind: str) -> Json:
    return {"type": [kind, "null"]}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _object(members: Mapping[str, Json], *, description: str = "", required: bool = True) -> Json:
    described = {"description": description} if description else {}
    named = {"required": list(members)} if required else {}
    return {"type": "object", **described, "properties": dict(members), **named}


_LINKS = _list(_object({"rel": _TEXT, "href": _TEXT}))


def _page_of(kind: str, name: str) -> Json:
    return _object(
        {
            "kind": {"const": "list"},
            "itemKind": {"const": kind},
            "items": _list(_reference(name)),
            "links": _LINKS,
        },
        description="One page; `links[rel=next]` leads to the next one.",
    )


_ADD_ON = _object(
    {
        "state": {"enum": [str(state) for state in State]},
        "conditions": _list(_reference("Condition")),
        "issues": _list(_reference("Issue")),
        "trustPolicy": {
            "anyOf": [_reference("TrustPolicy"), {"type": "null"}],
            "description": "Null as long as the OIDC provider URL is not known.",
        },
    },
    description="An add-on's state, and members of its own.",
)

_STANDING: Json = {"enum": [str(standing) for standing in Standing]}
_STANDINGS: Json = {
    "type": "object",
    "propertyNames": _STANDING,
    "additionalProperties": _INTEGER,
    "description": "How many clusters stand so; a standing of none is left out.",
}
_EXPIRY: Json = {
    "anyOf": [_object({"cluster": _TEXT, "expiresAt": _TIME}), {"type": "null"}],
    "description": "Null where nothing is known that could expire.",
}

SCHEMAS: Mapping[str, Json | type[Schema]] = {
    "Manifest": ManifestSchema,
    "Settings": SettingsSchema,
    "Patch": {
        "type": "object",
        "description": "Any part of a manifest, merged in depth. null deletes; `$replace/spec`, `$replace/tags` and"
        " `$replace/settings` replace; `version` and `id` must be the stored ones where they are given.",
    },
    "Cluster": _object(
        {
            "kind": {"const": "mk8s"},
            "id": _TEXT,
            "name": _TEXT,
            "description": _TEXT,
            "tags": {"type": "object"},
            "spec": {"type": "object", "description": "Exactly as sent."},
            "settings": {"type": "object", "description": "As sent."},
            "version": _INTEGER,
            "alias": _TEXT,
            "created": _TIME,
            "lastModified": _TIME,
            "links": _LINKS,
            "status": _reference("ClusterStatus"),
        }
    ),
    "ClusterList": _page_of("mk8s", "Cluster"),
    "Query": QuerySchema,
    "ClusterStatus": {
        **_object(
            {
                "generation": _INTEGER,
                "observedGeneration": _INTEGER,
                "connected": _BOOLEAN,
                "standing": _STANDING,
                "lastSeen": {**_nullable("string"), "format": "date-time"},
                "credentialsExpireAt": {**_nullable("string"), "format": "date-time"},
                "oidcProviderUrl": _TEXT,
                "serverUrl": _TEXT,
                "homeLocation": _TEXT,
                "conditions": _list(_reference("Condition")),
                "issues": _list(_reference("Issue")),
                "addOns": _object(
                    {
                        "awsECR": _ADD_ON,
                        "awsWorkloadIdentity": {
                            **_ADD_ON,
                            "properties": {
                                **_ADD_ON["properties"],
                                "oidcProviderConfig": _object({"providerUrl": _TEXT, "audience": _TEXT}),
                            },
                        },
                    },
                    required=False,
                ),
                "removal": _object({"requestedAt": _TIME, "requestedBy": _TEXT}),
            },
            description="Up to date with the manifest once `observedGeneration` equals `generation`.",
            required=False,
        ),
        "required": [
            "generation",
            "connected",
            "standing",
            "lastSeen",
            "credentialsExpireAt",
            "addOns",
            "conditions",
            "issues",
        ],
    },
    "Condition": _object(
        {
            "type": _TEXT,
            "status": {"enum": ["True", "False", "Unknown"]},
            "reason": _TEXT,
            "message": _TEXT,
            "lastTransitionTime": _TIME,
            "observedGeneration": _INTEGER,
        }
    ),
    "Issue": _object(
        {"code": _TEXT, "message": _TEXT, "remedy": _TEXT, "resources": _list(_TEXT)},
        description="Something that needs a person; see the issues reference.",
    ),
    "TrustPolicy": _object(
        {"Version": {"const": "2012-10-17"}, "Statement": _list({"type": "object"})},
        description="An IAM trust policy document.",
    ),
    "Removal": _object(
        {
            "kind": {"const": "removal"},
            "name": _TEXT,
            "remains": _list(_object({"what": _TEXT, "command": _TEXT})),
        },
        description="It is gone; `remains` is what it leaves behind.",
    ),
    "Errand": _object(
        {
            "kind": {"const": "errand"},
            "id": _TEXT,
            "what": {"enum": [str(kind) for kind in ErrandKind]},
            "requestedAt": _TIME,
            "requestedBy": _TEXT,
            "finishedAt": _nullable("string"),
            "result": _nullable("object"),
            "links": _LINKS,
        },
        description="What a controller was asked to do in a cluster; `result` is null until it is done.",
    ),
    "Connection": ConnectionSchema,
    "ConnectionDeleted": _object(
        {"kind": {"const": "connection"}, "deleted": {**_BOOLEAN, "description": "False: none was stored."}}
    ),
    "ConnectionStored": _object(
        {
            "kind": {"const": "connection"},
            "server": _TEXT,
            "expiresAt": {**_nullable("string"), "format": "date-time"},
            "renewable": _BOOLEAN,
            "eks": {
                **_object({"cluster": _TEXT, "region": _TEXT, "roles": _list(_TEXT)}),
                "type": ["object", "null"],
            },
        }
    ),
    "ExternalId": _object(
        {
            "kind": {"const": "externalId"},
            "externalId": _TEXT,
            "principal": _nullable("string"),
            "trustPolicy": {"type": "object"},
        }
    ),
    "Event": _object(
        {
            "kind": {"const": "event"},
            "id": _TEXT,
            "created": _TIME,
            "status": {"enum": ["Normal", "Warning"]},
            "reason": _TEXT,
            "message": _TEXT,
            "context": {"type": "object"},
        }
    ),
    "EventList": _page_of("event", "Event"),
    "AuditRecord": _object(
        {
            "kind": {"const": "auditRecord"},
            "id": _TEXT,
            "time": _TIME,
            "principal": _TEXT,
            "action": _TEXT,
            "resource": _TEXT,
            "name": _TEXT,
            "version": _nullable("integer"),
        }
    ),
    "AuditList": _page_of("auditRecord", "AuditRecord"),
    "AuditEvent": _object(
        {
            "id": _TEXT,
            "eventTime": _TIME,
            "resource": _object(
                {"name": _TEXT, "type": _TEXT, "data": _object({"version": _nullable("integer")})}
            ),
            "result": _object({"status": {"const": "success"}, "message": _TEXT}),
            "subject": _object({"data": _object({"type": _TEXT, "principalLink": _TEXT})}),
        },
        description="A change that was made: what was refused is not recorded.",
    ),
    "AuditTrail": _page_of("auditEvent", "AuditEvent"),
    "Permissions": _object(
        {
            "kind": {"const": "permissions"},
            "itemKind": {"const": "mk8s"},
            "items": _list(_object({"name": _TEXT, "description": _TEXT})),
            "implied": {"type": "object", "additionalProperties": _list(_TEXT)},
        }
    ),
    "AccessReport": _object(
        {
            "kind": {"const": "accessreport"},
            "permissions": _list(
                _object(
                    {
                        "name": _TEXT,
                        "bindings": _list(
                            _object({"principalLink": _TEXT, "grantedPermissions": _list(_TEXT)})
                        ),
                    }
                )
            ),
        }
    ),
    "Authorities": _object({"kind": {"const": "cacerts"}, "cacerts": {**_TEXT, "description": "PEM"}}),
    "Services": _object({"endpoints": {"type": "object", "additionalProperties": _TEXT}}),
    "CustomResource": _object(
        {
            "apiVersion": {"const": "cpln.io/v1"},
            "kind": {"const": "mk8s"},
            "metadata": _object({"name": _TEXT}),
            "org": _TEXT,
            "description": _TEXT,
            "tags": {"type": "object"},
            "spec": {"type": "object"},
        }
    ),
    "CustomResourceList": _object({"kind": {"const": "list"}, "items": _list(_reference("CustomResource"))}),
    "Standings": _object({"kind": {"const": "standings"}, "standings": _STANDINGS}),
    "Overview": _object(
        {
            "kind": {"const": "overview"},
            "standings": _STANDINGS,
            "issues": _list(_object({"code": _TEXT, "clusters": _INTEGER, "first": _list(_TEXT)})),
            "firstToExpire": _EXPIRY,
            "firstConnectionToExpire": _EXPIRY,
        }
    ),
    "Issuer": _object(
        {
            "kind": {"const": "issuer"},
            "id": _TEXT,
            "url": _nullable("string"),
            "keys": _nullable("object"),
            "pendingKeys": _nullable("object"),
        }
    ),
    "KeyAcceptance": _object(
        {"fingerprint": {**_TEXT, "description": "`pendingKeys.fingerprint` of the issuer"}}
    ),
    "Discovery": _object(
        {
            "issuer": _TEXT,
            "jwks_uri": _TEXT,
            "response_types_supported": _list(_TEXT),
            "subject_types_supported": _list(_TEXT),
            "id_token_signing_alg_values_supported": _list(_TEXT),
        }
    ),
    "KeySet": _object({"keys": _list({"type": "object"})}),
    "Health": _object({"status": {"const": "ok"}}),
    "OpenApi": {"type": "object", "description": "OpenAPI 3.1"},
    "Problem": _object(
        {
            "status": _INTEGER,
            "code": _TEXT,
            "name": {**_TEXT, "description": "The code again: `cpln -o names` shows it."},
            "message": _TEXT,
            "title": _TEXT,
            "detail": _TEXT,
            "details": _list(
                {"type": "object", "properties": {"path": _TEXT, "message": _TEXT, "hint": _TEXT}}
            ),
            "id": {**_TEXT, "description": "The request id, also in the X-Request-Id header and the log."},
        },
        description="Every error has this shape.",
    ),
}
