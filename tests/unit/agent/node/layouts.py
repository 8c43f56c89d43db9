"""Folders that look like the node of each distribution, as its installer leaves them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.agent.node.machine import Machine, kubeadm

_RANCHER = "/var/lib/rancher/credentialprovider"
_API = "credentialprovider.kubelet.k8s.io/v1"


def config(name: str, *images: str, version: str = "v1", **fields: object) -> str:
    provider = {
        "name": name,
        "matchImages": list(images),
        "defaultCacheDuration": "12h",
        "apiVersion": _API,
        **fields,
    }
    content = {
        "apiVersion": f"kubelet.config.k8s.io/{version}",
        "kind": "CredentialProviderConfig",
        "providers": [provider],
    }
    return json.dumps(content, indent=2) + "\n"


def kubeadm_deb(root: Path) -> Machine:
    return kubeadm(root)


def kubeadm_rpm(root: Path) -> Machine:
    machine = kubeadm(root, "/etc/sysconfig/kubelet")
    machine.put("/etc/sysconfig/kubelet", "KUBELET_EXTRA_ARGS=\n")
    return machine


def _rancher(root: Path, distribution: str, service: str) -> Machine:
    machine = Machine(root, service=f"{service}.service")
    machine.fixed_bin, machine.fixed_config = f"{_RANCHER}/bin", f"{_RANCHER}/config.yaml"
    machine.put(f"/var/lib/rancher/{distribution}/agent/kubelet.kubeconfig", "")
    machine.put(f"/etc/rancher/{distribution}/config.yaml", "write-kubeconfig-mode: '0644'\n")
    return machine


def k3s_server(root: Path) -> Machine:
    return _rancher(root, "k3s", "k3s")


def k3s_agent(root: Path) -> Machine:
    return _rancher(root, "k3s", "k3s-agent")


def rke2_server(root: Path) -> Machine:
    return _rancher(root, "rke2", "rke2-server")


def rke2_agent(root: Path) -> Machine:
    return _rancher(root, "rke2", "rke2-agent")


def _flagged(root: Path, bin_directory: str, path: str, text: str) -> Machine:
    """A kubelet whose image sets both flags, with one provider of the vendor's."""
    machine = Machine(
        root,
        flags=[
            f"--image-credential-provider-bin-dir={bin_directory}",
            "--image-credential-provider-config",
            path,
        ],
    )
    machine.put("/var/lib/kubelet/pki/kubelet.crt", "")
    machine.put(path, text)
    for provider in (
        json.loads(text)["providers"] if text.startswith("{") else [{"name": "auth-provider-gcp"}]
    ):
        machine.put(f"{bin_directory}/{provider['name']}", "#!/bin/sh\n", 0o755)
    return machine


def eks_al2023(root: Path) -> Machine:
    folder = "/etc/eks/image-credential-provider"
    text = config("ecr-credential-provider", "*.dkr.ecr.*.amazonaws.com", "public.ecr.aws")
    return _flagged(root, folder, f"{folder}/config.json", text)


def aks(root: Path) -> Machine:
    text = config("acr-credential-provider", "*.azurecr.io", args=["/etc/kubernetes/azure.json"])
    machine = _flagged(
        root, "/var/lib/kubelet/credential-provider", "/var/lib/kubelet/credential-provider-config.yaml", text
    )
    machine.put("/opt/azure/containers/provision.sh", "")
    return machine


def gke(root: Path) -> Machine:
    text = """\
kind: CredentialProviderConfig
apiVersion: kubelet.config.k8s.io/v1
providers:
  - name: auth-provider-gcp
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    matchImages:
    - "container.cloud.google.com"
    - "*.pkg.dev"
    args:
    - get-credentials
    - --v=3
    defaultCacheDuration: 1m
"""
    return _flagged(root, "/home/kubernetes/bin", "/etc/srv/kubernetes/cri_auth_config.yaml", text)


def microk8s(root: Path) -> Machine:
    (root / "var/snap/microk8s/6000/args").mkdir(parents=True)
    (root / "var/snap/microk8s/current").symlink_to("6000")
    (root / "var/snap/microk8s/common").mkdir()
    arguments = "/var/snap/microk8s/current/args/kubelet"
    (root / arguments.lstrip("/")).write_text(
        "--resolv-conf=/run/systemd/resolve/resolv.conf\n--max-pods=110\n"
    )
    return Machine(root, service="snap.microk8s.daemon-kubelite.service", environment_file=arguments)


SUPPORTED = {
    "kubeadm deb": (kubeadm_deb, "kubeadm"),
    "kubeadm rpm": (kubeadm_rpm, "kubeadm"),
    "k3s server": (k3s_server, "k3s"),
    "k3s agent": (k3s_agent, "k3s"),
    "rke2 server": (rke2_server, "rke2"),
    "rke2 agent": (rke2_agent, "rke2"),
    "eks": (eks_al2023, "eks"),
    "aks": (aks, "aks"),
    "gke": (gke, "gke"),
    "microk8s": (microk8s, "microk8s"),
}
