from pathlib import Path

import pytest

from agent.settings import AgentSettings, SettingsError, read

IN_A_POD = {
    "PULLPASS_KUBERNETES_TOKEN_FILE": "/tokens/kubernetes",
    "PULLPASS_KUBERNETES_CA_FILE": "/tokens/ca.crt",
    "PULLPASS_WEB_IDENTITY_TOKEN_FILE": "/tokens/aws",
    "PULLPASS_HEALTH_PORT": "8080",
    "PULLPASS_WEBHOOK_PORT": "9443",
    "PULLPASS_POD_NAME": "pullpass-agent-7d9f-x",
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
}


def test_a_pod_dials_the_address_that_kubernetes_gives_it() -> None:
    expected = AgentSettings(
        server="https://10.96.0.1:443",
        on_loopback=False,
        kubernetes_token_file="/tokens/kubernetes",
        kubernetes_ca_file="/tokens/ca.crt",
        web_identity_token_file="/tokens/aws",
        health_port=8080,
        webhook_port=9443,
        pod_name="pullpass-agent-7d9f-x",
    )
    assert expected == read(IN_A_POD)


def test_an_ipv6_address_is_put_in_brackets() -> None:
    assert read({**IN_A_POD, "KUBERNETES_SERVICE_HOST": "fd00::1"}).server == "https://[fd00::1]:443"


def test_a_server_that_is_named_is_dialled_instead_and_may_be_on_loopback() -> None:
    found = read({**IN_A_POD, "PULLPASS_KUBERNETES_SERVER": "https://127.0.0.1:6443/clusters/demo"})
    assert (found.server, found.on_loopback) == ("https://127.0.0.1:6443/clusters/demo", True)


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        read({})
    said = str(refused.value)
    assert [name for name in IN_A_POD if name not in said] == []


@pytest.mark.parametrize("name", ["PULLPASS_HEALTH_PORT", "PULLPASS_WEBHOOK_PORT"])
@pytest.mark.parametrize("port", ["-1", "65536", "http", "8 0", "٣"])
def test_a_port_that_is_none_is_refused(name: str, port: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read({**IN_A_POD, name: port})


def test_a_plain_http_server_is_refused() -> None:
    with pytest.raises(SettingsError, match="https"):
        read({**IN_A_POD, "PULLPASS_KUBERNETES_SERVER": "http://127.0.0.1"})


def test_an_authority_that_cannot_be_read_names_its_variable(tmp_path: Path) -> None:
    found = read({**IN_A_POD, "PULLPASS_KUBERNETES_CA_FILE": str(tmp_path / "none")})
    with pytest.raises(SettingsError, match=r"PULLPASS_KUBERNETES_CA_FILE.*No such file"):
        found.certificate_authority()
