from __future__ import annotations

import json
import threading

import pytest

from agent.node import watcher
from agent.node.distributions import OURS
from agent.node.host import HostError, Result
from agent.node.provider import CA_BUNDLE_FILE, TOKEN_FILE
from agent.node.provider_config import PROVIDER_NAME
from agent.node.report import ANNOTATION
from agent.node.slots import PREFIX
from tests.unit.agent.node.cluster import node
from tests.unit.agent.node.conftest import CONFIGURATION, Site, token
from tests.unit.agent.node.layouts import config

CONFIG = f"{OURS}/credential-provider.yaml"


def test_a_node_becomes_ready_with_one_restart(site: Site) -> None:
    found = site.settle()
    assert ("ready", "", "") == (found.state, found.reason, found.message)
    assert 1 == site.machine.restarts


def test_a_second_look_changes_nothing(site: Site) -> None:
    site.settle()
    before = site.machine.everything()
    assert "ready" == site.settle().state
    assert before == site.machine.everything()
    assert 1 == site.machine.restarts


def test_removing_leaves_the_node_as_it_was(site: Site) -> None:
    site.machine.put("/etc/default/kubelet", 'KUBELET_EXTRA_ARGS="--node-ip=10.0.0.1"')
    before = site.machine.everything()
    site.settle()
    assert before != site.machine.everything()
    site.configure(removing=True, generation=2)
    assert "removed" == site.settle().state
    assert before == site.machine.everything()
    assert 2 == site.machine.restarts


def test_what_others_wrote_meanwhile_survives_the_removal(site: Site) -> None:
    site.machine.put("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--v=2\n")
    site.settle()
    text = site.machine.text("/etc/default/kubelet") or ""
    site.machine.put("/etc/default/kubelet", f"# a remark\n{text}OTHER=1\n")
    site.configure(removing=True, generation=2)
    assert "removed" == site.settle().state
    assert "# a remark\nKUBELET_EXTRA_ARGS=--v=2\nOTHER=1\n" == site.machine.text("/etc/default/kubelet")


def test_a_node_that_leaves_the_selector_is_given_back(site: Site) -> None:
    before = site.machine.everything()
    site.settle()
    site.configure(selector={"pool": "ecr"}, generation=2)
    assert "removed" == site.settle().state
    assert before == site.machine.everything()


def test_a_node_outside_the_selector_is_not_touched(site: Site) -> None:
    before = site.machine.everything()
    site.configure(selector={"pool": "ecr"})
    assert "removed" == site.settle().state
    assert before == site.machine.everything()
    assert 0 == site.machine.restarts


def test_a_node_that_enters_the_selector_is_served(site: Site) -> None:
    site.configure(selector={"pool": "ecr"})
    site.settle()
    site.cluster.known["worker-1"] = node("worker-1", labels={"pool": "ecr"})
    site.machine.host.wait(61)
    assert "ready" == site.settle().state


def test_a_kubelet_that_does_not_come_up_is_left_alone_until_something_new_is_wanted(site: Site) -> None:
    site.machine.rejects = True
    found = site.settle()
    assert ("rolledBack", "KubeletNotHealthy") == (found.state, found.reason)
    assert "this kubelet will not come up" in found.message
    restarts = site.machine.restarts
    assert "rolledBack" == site.settle().state
    assert restarts == site.machine.restarts
    site.machine.rejects = False
    site.configure(generation=2)
    assert "ready" == site.settle().state


def test_a_change_that_fails_gives_the_earlier_one_of_ours_back(site: Site) -> None:
    site.settle()
    before = site.machine.text(CONFIG)
    site.machine.rejects = True
    site.configure(region="eu-west-1", generation=2)
    site.settle()
    assert before == site.machine.text(CONFIG)


def test_a_node_that_rolled_back_frees_its_slot(site: Site) -> None:
    site.machine.rejects = True
    site.settle()
    assert "" == site.cluster.kept[f"{PREFIX}0"]["spec"]["holderIdentity"]


def test_the_slot_is_kept_until_the_node_is_ready(site: Site) -> None:
    site.driver.say(site.driver.look())
    site.cluster.known["worker-1"] = node("worker-1", ready=False)
    site.settle()
    assert "worker-1" == site.cluster.kept[f"{PREFIX}0"]["spec"]["holderIdentity"]
    site.cluster.known["worker-1"] = node("worker-1")
    site.settle()
    assert "" == site.cluster.kept[f"{PREFIX}0"]["spec"]["holderIdentity"]


def test_a_configuration_with_a_mistake_of_others_is_refused_and_not_touched(site: Site) -> None:
    site.machine.flags = [
        "--image-credential-provider-config=/opt/c.json",
        "--image-credential-provider-bin-dir=/opt",
    ]
    site.machine.running = site.machine.arguments()
    site.machine.put("/opt/c.json", config("absent", "*.example.com"))
    before = site.machine.everything()
    found = site.settle()
    assert ("refused", "ConfigRefused") == (found.state, found.reason)
    assert "/opt/absent: no such program" in found.message
    assert before == site.machine.everything()


def test_a_directory_gets_a_file_of_our_own(site: Site) -> None:
    site.machine.flags = [
        "--image-credential-provider-config=/opt/c",
        "--image-credential-provider-bin-dir=/opt/bin",
    ]
    site.machine.running = site.machine.arguments()
    site.machine.put("/opt/c/10.json", config("theirs", "*.example.com"))
    site.machine.put("/opt/bin/theirs", "", 0o755)
    before = site.machine.everything()
    assert "ready" == site.settle().state
    assert PROVIDER_NAME in (site.machine.text("/opt/c/pullpass.yaml") or "")
    site.configure(removing=True, generation=2)
    site.settle()
    assert before == site.machine.everything()


def test_a_directory_is_refused_on_a_kubelet_that_reads_none(site: Site) -> None:
    site.machine.flags = [
        "--image-credential-provider-config=/opt/c",
        "--image-credential-provider-bin-dir=/opt/bin",
    ]
    site.machine.running = site.machine.arguments()
    site.machine.put("/opt/c/10.json", config("theirs", "*.example.com"))
    site.cluster.known["worker-1"]["status"]["nodeInfo"]["kubeletVersion"] = "v1.33.2"
    assert "1.34" in site.settle().message


def test_service_account_identity_is_refused_on_an_older_kubelet(site: Site) -> None:
    site.cluster.known["worker-1"]["status"]["nodeInfo"]["kubeletVersion"] = "v1.33.2"
    site.configure(identity="serviceAccount")
    before = site.machine.everything()
    found = site.settle()
    assert ("refused", "ServiceAccountTokensUnsupported") == (found.state, found.reason)
    assert before == site.machine.everything()


def test_service_account_identity_is_refused_where_the_gate_is_off(site: Site) -> None:
    site.machine.put(
        "/var/lib/kubelet/config.yaml",
        "featureGates: {KubeletServiceAccountTokenForCredentialProviders: false}\n",
    )
    site.configure(identity="serviceAccount")
    assert "ServiceAccountTokensUnsupported" == site.settle().reason


def test_service_account_identity_needs_no_token_of_the_drivers(site: Site) -> None:
    site.configure(identity="serviceAccount")
    found = site.settle()
    assert ("ready", None) == (found.state, found.verified)
    assert site.machine.text(TOKEN_FILE) is None
    assert "tokenAttributes" in (site.machine.text(CONFIG) or "")


def test_the_token_is_roots_alone_and_follows_the_projected_one(site: Site) -> None:
    site.settle()
    newer = token(1795370400 + 60)
    (site.folder / "token").write_text(newer)
    found = site.settle()
    at = site.machine.root / TOKEN_FILE.lstrip("/")
    assert (newer, 0o600) == (at.read_text(), at.stat().st_mode & 0o777)
    assert found.token_expires_at is not None
    assert 1795370400 + 60 == found.token_expires_at.timestamp()
    assert 1 == site.machine.restarts


def test_a_token_that_is_none_does_not_replace_a_good_one(site: Site) -> None:
    site.settle()
    (site.folder / "token").write_text("nonsense")
    found = site.settle()
    assert ("refused", "TokenUnreadable") == (found.state, found.reason)
    assert token() == site.machine.text(TOKEN_FILE)


def test_a_newer_plugin_takes_the_olds_name_without_a_restart(site: Site) -> None:
    site.settle()
    (site.folder / "plugin").write_bytes(b"#!/bin/sh\n# newer\n")
    assert "ready" == site.settle().state
    assert "#!/bin/sh\n# newer\n" == site.machine.text(f"{OURS}/bin/{PROVIDER_NAME}")
    assert 1 == site.machine.restarts


def test_a_plugin_that_the_host_cannot_run_stops_everything(site: Site) -> None:
    site.machine.plugin = Result(126, "", "nsenter: failed to execute: Exec format error")
    found = site.settle()
    assert ("refused", "PluginCannotRun") == (found.state, found.reason)
    assert "Exec format error" in found.message
    assert 0 == site.machine.restarts


def test_what_aws_says_is_in_the_report(site: Site) -> None:
    site.machine.plugin = Result(
        1, "", "E1122 x\nAccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity\n"
    )
    found = site.settle()
    assert "ready" == found.state
    assert found.verified is not None
    assert (False, "TrustPolicyMismatch") == (found.verified.ok, found.verified.code)


def test_the_proof_is_repeated_hourly_and_soon_after_a_failure(site: Site) -> None:
    def proofs() -> int:
        return sum(bool(text) for text in site.machine.host.stdin)

    site.settle()
    site.settle()
    assert 1 == proofs()
    site.machine.host.wait(3600)
    site.machine.plugin = Result(1, "", "boom")
    site.settle()
    site.machine.host.wait(61)
    site.settle()
    assert 3 == proofs()


def test_the_plugin_is_run_with_the_kubelets_environment_and_the_providers(site: Site) -> None:
    site.configure(aws={**CONFIGURATION["aws"], "stsEndpoint": "https://sts.local", "noProxy": "10.0.0.0/8"})
    site.settle()
    run = next(
        one for one, text in zip(site.machine.host.environments, site.machine.host.stdin, strict=True) if text
    )
    assert "http://kubelets.proxy" == run["HTTPS_PROXY"]
    assert ("https://sts.local", "10.0.0.0/8", "true") == (
        run["AWS_ENDPOINT_URL_STS"],
        run["NO_PROXY"],
        run["AWS_EC2_METADATA_DISABLED"],
    )


def test_a_bundle_of_authorities_lies_where_the_plugin_looks(site: Site) -> None:
    site.configure(aws={**CONFIGURATION["aws"], "caBundle": "PEM"})
    site.settle()
    assert "PEM" == site.machine.text(CA_BUNDLE_FILE)
    assert CA_BUNDLE_FILE in (site.machine.text(CONFIG) or "")


def test_a_node_waits_for_its_turn_without_a_change_to_the_kubelets_files(site: Site) -> None:
    site.cluster.known["worker-2"] = node("worker-2", ready=False)
    found = site.settle()
    assert ("waiting", "NoSlot") == (found.state, found.reason)
    assert site.machine.text(CONFIG) is None
    assert 0 == site.machine.restarts


def test_a_kubelet_that_does_not_run_is_left_alone(site: Site) -> None:
    site.machine.host.answer = lambda command: (
        Result(0, "failed\n", "") if "ActiveState" in command else site.machine._answer(command)
    )
    found = site.settle()
    assert ("waiting", "KubeletNotRunning") == (found.state, found.reason)
    assert 0 == site.machine.restarts


def test_the_token_stays_until_the_kubelet_runs_without_it(site: Site) -> None:
    site.settle()
    site.configure(identity="serviceAccount", generation=2)
    site.driver.say(site.driver.look())
    assert site.machine.text(TOKEN_FILE) is not None
    site.settle()
    assert site.machine.text(TOKEN_FILE) is None


def test_an_unsupported_node_is_looked_at_again_after_a_while(site: Site) -> None:
    site.machine.put("/etc/os-release", "ID=talos\n")
    assert "unsupported" == site.settle().state
    site.machine.put("/etc/os-release", "ID=debian\n")
    assert "unsupported" == site.settle().state
    site.machine.host.wait(301)
    assert "ready" == site.settle().state


def test_without_the_api_server_nothing_new_is_begun(site: Site) -> None:
    site.cluster.away = True
    found = site.settle()
    assert ("waiting", "ApiServerUnreachable") == (found.state, found.reason)
    assert 0 == site.machine.restarts


def test_a_ready_node_stays_ready_while_the_api_server_is_away(site: Site) -> None:
    site.settle()
    site.settle()
    site.cluster.away = True
    (site.folder / "token").write_text(token(1795370400 + 60))
    assert "ready" == site.settle().state
    assert token(1795370400 + 60) == site.machine.text(TOKEN_FILE)


def test_a_disk_that_is_full_leaves_the_node_as_it_was(site: Site) -> None:
    site.machine.put("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--v=2\n")

    def full(what: str) -> None:
        if what == "write /etc/default/kubelet":
            raise HostError("/etc/default/kubelet: cannot be written: No space left on device")

    site.machine.host.before_change = full
    found = site.settle()
    assert ("failed", "HostRefused") == (found.state, found.reason)
    assert site.machine.text(CONFIG) is None
    assert site.machine.host.kind(watcher.UNIT) is None
    assert 0 == site.machine.restarts


def test_flags_that_the_kubelet_does_not_take_are_told(site: Site) -> None:
    site.settle()
    site.machine.running = ["--v=2"]
    assert "FlagsNotTaken" == site.settle().reason


def test_a_configuration_that_cannot_be_read_is_told(site: Site) -> None:
    (site.folder / "configuration.json").write_text("{")
    found = site.settle()
    assert ("failed", "ConfigurationUnreadable") == (found.state, found.reason)


def test_the_report_is_written_when_it_changes_and_every_five_minutes(site: Site) -> None:
    site.settle()
    site.settle()
    first = site.cluster.kept["pullpass-node-worker-1"]["metadata"]["resourceVersion"]
    site.settle()
    assert first == site.cluster.kept["pullpass-node-worker-1"]["metadata"]["resourceVersion"]
    site.machine.host.wait(301)
    site.settle()
    assert first != site.cluster.kept["pullpass-node-worker-1"]["metadata"]["resourceVersion"]


def test_the_report_says_all_that_was_agreed(site: Site) -> None:
    site.settle()
    site.settle()
    document = json.loads(site.cluster.kept["pullpass-node-worker-1"]["metadata"]["annotations"][ANNOTATION])
    assert {
        "version": 1,
        "generation": 1,
        "node": "worker-1",
        "distribution": "kubeadm",
        "state": "ready",
        "reason": "",
        "message": "",
        "hash": document["hash"],
        "tokenExpiresAt": "2026-11-22T18:00:00Z",
        "verified": {"at": document["verified"]["at"], "ok": True, "code": "", "message": ""},
        "driverVersion": 1,
        "writtenAt": document["writtenAt"],
    } == document


def test_nothing_that_is_logged_holds_a_token(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.machine.plugin = Result(1, "", f"could not use {token()}")
    site.settle()
    assert token() not in capsys.readouterr().err
    assert token() not in json.dumps(site.cluster.kept)


def test_it_ends_when_it_is_told(site: Site) -> None:
    stop = threading.Event()
    stop.set()
    site.driver.run(stop)
    assert 0 == site.machine.restarts
