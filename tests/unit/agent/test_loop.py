import base64
import json

import pytest

from agent.secrets.service_accounts import MARK
from controller.agent_rights import SECRETS_ROLE, WIDE_SECRETS_ROLE
from kube.objects import NAMESPACE, SECRET, SERVICE_ACCOUNT, Object
from schemas.addons.aws_ecr import PullSecret
from tests.unit.agent.cell import ACCOUNT, AUDIENCE, CLUSTER_RULES, HOST, OURS, RBAC, ROLES, Cell, eventually


def test_it_fills_selected_namespaces_with_a_password_that_aws_issued(running: Cell) -> None:
    password = running.password("default")
    assert password is not None
    assert running.world.aws.password_is_valid(password) is not None
    assert running.references("default") == ["pullpass-ecr"]


def test_the_namespaces_of_kubernetes_and_our_own_stay_as_they_are(running: Cell) -> None:
    found = {name: (running.secret(name), running.references(name)) for name in ("kube-system", OURS)}
    assert found == {name: (None, []) for name in ("kube-system", OURS)}


def test_the_report_tells_of_the_proof_and_the_credential(running: Cell) -> None:
    report = running.reported(lambda report: report.verified_at is not None)
    assert [(hop.name, hop.succeeded) for hop in report.hops] == [
        ("token", True),
        ("sts", True),
        ("ecr", True),
        ("registry", True),
    ]
    assert [(each.region, each.registries) for each in report.credentials] == [("eu-central-1", (HOST,))]
    assert (report.namespaces_selected, report.namespace_errors, report.removed) == (1, (), False)


def test_many_namespaces_cost_one_call_to_ecr(cell: Cell) -> None:
    names = [f"shop-{number}" for number in range(25)]
    for name in names:
        cell.apply("Namespace", name)
    cell.configure()
    cell.start()
    cell.reported(lambda report: report.namespaces_ready == 26)
    assert all(cell.served(name) for name in names)
    # One apply and one patch for each; a list and a watch of ten kinds, what is stored, and a report or two.
    assert cell.requests() <= 26 * 2 + 32
    assert cell.world.aws.calls["GetAuthorizationToken"] == 1


def test_a_new_namespace_is_served_at_once(running: Cell) -> None:
    running.apply("Namespace", "shop")
    eventually(lambda: running.served("shop"))
    assert running.world.aws.calls["GetAuthorizationToken"] == 1


def test_a_new_service_account_is_served_at_once(running: Cell) -> None:
    running.apply("ServiceAccount", "builder", namespace="default")
    eventually(lambda: running.served("default", "builder"))


def test_a_secret_that_was_deleted_comes_back(running: Cell) -> None:
    running.admin.delete(SECRET, "pullpass-ecr", namespace="default")
    eventually(lambda: running.served("default"))


def test_a_secret_that_was_edited_is_put_right_in_place(running: Cell) -> None:
    before = running.secret("default")
    assert before is not None
    body = {"data": {".dockerconfigjson": base64.b64encode(b'{"auths":{}}').decode()}}
    running.admin.merge_patch(SECRET, "pullpass-ecr", body, namespace="default")

    def mended() -> Object | None:
        found = running.secret("default")
        return found if found is not None and found["data"] == before["data"] else None

    assert eventually(mended)["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_reference_that_was_taken_out_comes_back_beside_those_of_others(running: Cell) -> None:
    body = {"imagePullSecrets": [{"name": "regcred"}]}
    running.admin.merge_patch(SERVICE_ACCOUNT, "default", body, namespace="default")
    eventually(lambda: running.references("default") == ["regcred", "pullpass-ecr"])


def test_a_secret_of_somebody_else_is_left_alone_and_reported(running: Cell) -> None:
    running.reconfigure(pull_secret=PullSecret(exclude_namespaces=("kube-*", "taken")))
    running.reported(lambda _: True)  # from now on the agent leaves the namespace to others
    running.apply("Namespace", "taken")
    foreign = {"name": "pullpass-ecr", "namespace": "taken"}
    running.admin.create({"apiVersion": "v1", "kind": "Secret", "metadata": foreign, "type": "Opaque"})
    running.reconfigure(pull_secret=PullSecret())
    report = running.reported(lambda report: bool(report.namespace_errors))
    assert [(error.namespace, error.code) for error in report.namespace_errors] == [
        ("taken", "SecretNotOurs")
    ]
    found = running.secret("taken")
    assert found is not None
    assert (found["type"], running.references("taken")) == ("Opaque", [])


def test_a_namespace_that_refuses_a_write_is_reported_in_the_words_of_the_server(running: Cell) -> None:
    rules = [rule for rule in CLUSTER_RULES if rule["resources"] != ["secrets"]]
    readable = {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": ["pullpass-ecr"],
        "verbs": ["get", "list", "watch"],
    }
    running.apply("ClusterRole", "pullpass-agent-secrets", api=f"{RBAC}/v1", rules=[*rules, readable])
    running.apply("Namespace", "shop")
    report = running.reported(lambda report: bool(report.namespace_errors))
    assert [(error.namespace, error.code) for error in report.namespace_errors] == [
        ("shop", "NamespaceWriteRefused")
    ]
    assert "secret pullpass-ecr in namespace shop cannot be written" in report.namespace_errors[0].message


def test_a_secret_that_cannot_be_taken_back_is_reported_by_its_own_name_and_harms_no_other(
    running: Cell,
) -> None:
    running.reconfigure(pull_secret=PullSecret(name="old"), wide_secrets=True)
    eventually(lambda: running.references("default") == ["old"])
    for name in (SECRETS_ROLE, WIDE_SECRETS_ROLE):
        rules = [
            {**rule, "verbs": [verb for verb in rule["verbs"] if verb != "delete"]}
            for rule in ROLES[name]["rules"]
        ]
        running.apply("ClusterRole", name, api=f"{RBAC}/v1", rules=rules)
    running.reconfigure(pull_secret=PullSecret(), wide_secrets=True)
    report = running.reported(lambda report: bool(report.namespace_errors))
    [error] = report.namespace_errors
    assert (error.namespace, error.secret, error.claim) == ("default", "old", "add-on")
    assert "secret old in namespace default cannot be deleted" in error.message
    assert running.served("default")
    running.reported(lambda report: report.namespaces_ready == report.namespaces_selected == 1)


def test_while_aws_is_down_the_old_secret_stays(running: Cell) -> None:
    before = running.secret("default")
    running.world.aws.set_down("sts")
    running.reconfigure(role_arn=f"arn:aws:iam::{ACCOUNT}:role/other")
    report = running.reported(lambda report: any(not hop.succeeded for hop in report.hops))
    assert [hop.code for hop in report.hops] == ["", "StsUnreachable"]
    assert running.secret("default") == before


def test_another_role_brings_another_password_into_the_same_secret(running: Cell) -> None:
    before, old = running.secret("default"), running.password("default")
    policy = {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity"}
    federated = {"Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example/demo"}}
    condition = {"Condition": {"StringEquals": {"issuer.example/demo:aud": AUDIENCE}}}
    other = f"arn:aws:iam::{ACCOUNT}:role/other"
    running.world.create_role(
        other, {"Version": "2012-10-17", "Statement": [{**policy, **federated, **condition}]}
    )
    running.reconfigure(role_arn=other)
    eventually(lambda: running.password("default") != old)
    after = running.secret("default")
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] == after["metadata"]["uid"]


def test_a_namespace_that_is_no_longer_selected_is_given_back(running: Cell) -> None:
    running.apply("Namespace", "shop")
    eventually(lambda: running.served("shop"))
    running.reconfigure(pull_secret=PullSecret(namespaces=("default",)))
    eventually(lambda: running.secret("shop") is None and running.references("shop") == [])
    assert running.served("default")


def test_a_label_that_goes_deselects(running: Cell) -> None:
    running.apply("Namespace", "shop", metadata={"labels": {"pull": "yes"}})
    running.reconfigure(pull_secret=PullSecret(namespace_selector={"pull": "yes"}))
    eventually(lambda: running.served("shop") and running.secret("default") is None)
    running.admin.merge_patch(NAMESPACE, "shop", {"metadata": {"labels": {"pull": None}}})
    eventually(lambda: running.secret("shop") is None)


def test_removal_gives_everything_back_and_says_so(running: Cell) -> None:
    running.apply("Namespace", "shop")
    eventually(lambda: running.served("shop"))
    running.admin.merge_patch(
        SERVICE_ACCOUNT,
        "default",
        {"imagePullSecrets": [{"name": "regcred"}, {"name": "pullpass-ecr"}]},
        namespace="shop",
    )
    running.reconfigure(removing=True)
    running.reported(lambda report: report.removed)
    assert [running.secret(name) for name in ("default", "shop")] == [None, None]
    assert [running.references(name) for name in ("default", "shop")] == [[], ["regcred"]]
    assert MARK not in json.dumps(running.account("default"))


def test_a_removal_that_is_cancelled_fills_again(running: Cell) -> None:
    running.reconfigure(removing=True)
    running.reported(lambda report: report.removed)
    running.reconfigure(removing=False)
    running.reported(lambda report: not report.removed and report.namespaces_ready == 1)
    assert running.served("default")


def test_a_new_agent_goes_on_without_asking_aws(running: Cell) -> None:
    before = running.secret("default")
    running.stop()
    running.start()
    running.apply("Namespace", "shop")
    eventually(lambda: running.served("shop"))
    calls = running.world.aws.calls
    assert (calls["AssumeRoleWithWebIdentity"], calls["GetAuthorizationToken"]) == (1, 1)
    assert running.secret("default") == before


def test_without_a_configuration_nothing_is_touched(cell: Cell) -> None:
    cell.start()
    cell.apply("Namespace", "shop")
    cell.configure(registries=())  # the first thing it does is to look for pods: there are none
    report = cell.reported(lambda _: True)
    assert (report.registries, cell.secret("shop"), cell.references("shop")) == ((), None, [])


@pytest.mark.parametrize("document", ["{}", "no JSON", '{"version": 99}'])
def test_a_configuration_that_cannot_be_read_changes_nothing(running: Cell, document: str) -> None:
    running.apply("ConfigMap", "pullpass-agent", namespace=OURS, data={"configuration.json": document})
    running.apply("Namespace", "shop")
    eventually(lambda: running.served("shop"))
    assert running.served("default")


def test_without_a_role_the_credential_stays_and_aws_is_not_asked(running: Cell) -> None:
    before = running.secret("default")
    running.reconfigure(role_arn="")
    running.reported(lambda _: True)
    assert running.secret("default") == before
    assert running.world.aws.calls["AssumeRoleWithWebIdentity"] == 1


def test_with_no_accounts_wanted_a_reference_that_somebody_wrote_stays(running: Cell) -> None:
    running.apply(
        "ServiceAccount", "builder", namespace="default", imagePullSecrets=[{"name": "pullpass-ecr"}]
    )
    running.reconfigure(pull_secret=PullSecret(service_accounts="none"))
    eventually(lambda: running.references("default") == [])
    assert running.references("default", "builder") == ["pullpass-ecr"]


def test_registries_seen_on_pods_outlive_both_pods_and_agent(running: Cell) -> None:
    running.stop()
    running.reconfigure(registries=())
    running.start()
    running.reported(lambda report: report.registries == (HOST,))
    assert running.served("default")


def test_registries_are_read_off_the_images_of_pods(cell: Cell) -> None:
    cell.configure(registries=())
    cell.start()
    cell.reported(lambda report: report.registries == ())
    cell.apply(
        "Pod",
        "web",
        namespace="default",
        spec={"containers": [{"name": "web", "image": f"{HOST}/shop/web:1"}]},
    )
    eventually(lambda: cell.served("default"))
    cell.reported(lambda report: report.registries == (HOST,) and report.verified_at is not None)
