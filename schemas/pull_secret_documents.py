"""`PullSecret` as JSON, in the configuration that the hub writes for the agent (`schemas.agent_documents`)."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.addons.aws_ecr import Adopted, AdoptedKeys, Label, Labelled, PullSecret
from schemas.stored import Members


def pull_secret_to_json(pull_secret: PullSecret) -> Mapping[str, object]:
    """Every member, in the settings' own names."""
    accounts = pull_secret.service_accounts
    labelled = pull_secret.labelled
    return {
        "namespaces": list(pull_secret.namespaces),
        "namespaceSelector": dict(pull_secret.namespace_selector),
        "excludeNamespaces": list(pull_secret.exclude_namespaces),
        "serviceAccounts": accounts if isinstance(accounts, str) else list(accounts),
        "name": pull_secret.name,
        "publicName": pull_secret.public_name,
        "appendToPods": pull_secret.append_to_pods,
        "retryPods": pull_secret.retry_pods,
        "labelled": None
        if labelled is None
        else {
            "namespaceLabel": dict([labelled.namespace_label]),
            "secretLabel": dict([labelled.secret_label]),
            "failurePolicy": labelled.failure_policy,
        },
        "customResources": pull_secret.custom_resources,
        "adopt": [
            {
                "resource": adopted.resource,
                "registries": list(adopted.registries),
                "keys": None
                if adopted.keys is None
                else {
                    "namespace": adopted.keys.namespace,
                    "name": adopted.keys.name,
                    "accessKeyId": adopted.keys.access_key_id,
                    "secretAccessKey": adopted.keys.secret_access_key,
                },
            }
            for adopted in pull_secret.adopt
        ],
    }


def pull_secret_from_json(members: Members) -> PullSecret:
    """The inverse; what an older hub did not write has its default.

    Raises:
        ValueError: naming the member that is of another type.
    """
    default = PullSecret()
    return PullSecret(
        namespaces=members.texts("namespaces"),
        namespace_selector=members.text_map("namespaceSelector"),
        exclude_namespaces=members.texts("excludeNamespaces"),
        service_accounts=members.text_or_texts("serviceAccounts"),
        name=members.text("name", default.name),
        public_name=members.optional_text("publicName"),
        append_to_pods=members.boolean("appendToPods", default=False),
        retry_pods=members.boolean("retryPods", default=False),
        labelled=_labelled(members.member("labelled")) if members.has("labelled") else None,
        custom_resources=members.boolean("customResources", default=False),
        adopt=tuple(_adopted(each) for each in members.list_of_members("adopt")),
    )


def _labelled(members: Members) -> Labelled:
    default = Labelled()

    def label(key: str, otherwise: Label) -> Label:
        return next((Label(*item) for item in members.text_map(key).items()), otherwise)

    return Labelled(
        namespace_label=label("namespaceLabel", default.namespace_label),
        secret_label=label("secretLabel", default.secret_label),
        failure_policy=members.text("failurePolicy", default.failure_policy),
    )


def _adopted(members: Members) -> Adopted:
    return Adopted(
        resource=members.text("resource"),
        registries=members.texts("registries"),
        keys=_keys(members.member("keys")) if members.has("keys") else None,
    )


def _keys(members: Members) -> AdoptedKeys:
    return AdoptedKeys(
        namespace=members.text("namespace"),
        name=members.text("name"),
        access_key_id=members.text("accessKeyId"),
        secret_access_key=members.text("secretAccessKey"),
    )
