"""`pullpass node`: what the driver does to a node, once and without a cluster, for cloud-init and image builds.

Only the wiring is here; `agent.node.install` does the steps, the same that the driver of the DaemonSet does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from aws import registry_hosts
from aws.arns import parse_role

if TYPE_CHECKING:
    from agent.node.configuration import Configuration
    from agent.node.install import Installed, Planned

PLUGIN_FILE = Path("/opt/pullpass/libexec/ecr-credential-provider")
_ROOT = Path("/")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def node() -> None:
    """A machine that is a node, or will be one."""


@node.command()
@click.option("--configuration", type=_FILE, help="configuration.json of the cluster's ConfigMap pullpass-node; stands in for every option about AWS.")  # fmt: skip
@click.option(
    "--role-arn", help="The role to assume with a web identity token; without: the node's own role."
)
@click.option("--identity", type=click.Choice(["shared", "serviceAccount"]), default="shared", show_default=True, help="Whose token assumes a role: the driver's, or that of each pod's service account.")  # fmt: skip
@click.option("--audience", default="sts.amazonaws.com", show_default=True, help="Audience of the service accounts' tokens.")  # fmt: skip
@click.option("--region", help="AWS region; default: the first of the role's partition.")
@click.option("--match-image", "images", multiple=True, help="Image pattern to serve; repeatable. Default: every private ECR registry of the role's or region's partition.")  # fmt: skip
@click.option("--cluster", default="standalone/node", show_default=True, metavar="ORG/NAME", help="The cluster's name in the hub: part of the session name that CloudTrail shows.")  # fmt: skip
@click.option("--verify-image", help="Image whose registry is asked for credentials at the end.")
@click.option("--sts-endpoint", help="Another address of STS.")
@click.option("--ecr-endpoint", help="Another address of ECR.")
@click.option("--https-proxy", help="Proxy to AWS.")
@click.option("--no-proxy", help="Hosts that are reached without the proxy.")
@click.option(
    "--ca-bundle", type=_FILE, help="PEM of the authorities that the proxy or endpoints are checked with."
)
@click.option("--token-file", type=_FILE, help="Web identity token, where there is one already; else the driver brings it.")  # fmt: skip
@click.option(
    "--plugin-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=PLUGIN_FILE,
    show_default=True,
    help="The ecr-credential-provider.",
)
@click.option("--host-root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=_ROOT, show_default=True, help="Where the machine's / is; from a container, which has to share the machine's processes.")  # fmt: skip
@click.option("--files-only", is_flag=True, help="An image build, or a kubelet that was never started: write files, restart nothing.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print what would change and stop.")
def install(  # noqa: PLR0917 - click passes options by name
    configuration: Path | None,
    token_file: Path | None,
    plugin_file: Path,
    host_root: Path,
    files_only: bool,
    dry_run: bool,
    **facts: Any,
) -> None:
    """Have this machine's kubelet ask ECR for credentials by itself.

    Does once what the driver does on every node: checks all that the kubelet would refuse, puts the credential
    provider and its configuration there, restarts the kubelet only if something changed and only if it runs, and gives
    it its files back if it does not come up. A second time changes nothing.
    """
    from agent.node.host import HostError, RealHost  # noqa: PLC0415 - the driver is loaded only where it is needed
    from agent.node.install import install_once, plan_once  # noqa: PLC0415 - the same
    from agent.node.plan import Refused  # noqa: PLC0415 - the same

    wanted = _of_options(facts) if configuration is None else _of_file(configuration, facts)
    root = host_root.resolve()
    elsewhere = root != _ROOT
    host = RealHost(root, enter=elsewhere and not files_only, chroot=elsewhere and files_only)
    try:
        if dry_run:
            _show_plan(plan_once(host, wanted, running=not files_only))
            return
        if not plugin_file.is_file():
            raise click.UsageError(f"--plugin-file: there is no {plugin_file}; the image has it")
        done = install_once(
            host, wanted, plugin_file=plugin_file, token_file=token_file, running=not files_only
        )
    except Refused as refused:
        raise click.ClickException(f"{refused.reason}: {refused}") from None
    except HostError as error:
        raise click.ClickException(str(error)) from None
    _show(done)
    if wanted.role_arn and wanted.identity == "shared" and token_file is None:
        click.echo("No token is there yet: pulls work once the driver has brought one.", err=True)
    if done.verified is not None and not done.verified.ok:
        raise click.ClickException(f"{done.verified.code}: {done.verified.message}")


def _of_file(path: Path, facts: dict[str, Any]) -> Configuration:
    from agent.node.configuration import ConfigurationError, parse  # noqa: PLC0415 - as above

    context = click.get_current_context()
    for name in facts:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = next(one.opts[0] for one in context.command.params if one.name == name)
            raise click.UsageError(f"{option}: --configuration says that already")
    try:
        return parse(path.read_bytes())
    except ConfigurationError as error:
        raise click.UsageError(f"{path}: {error}") from None


def _of_options(facts: dict[str, Any]) -> Configuration:
    from agent.node.configuration import AwsEndpoints, Cluster, Configuration  # noqa: PLC0415 - as above

    organisation, separator, name = facts["cluster"].partition("/")
    if not (organisation and separator and name):
        raise click.UsageError("--cluster: expected ORG/NAME")
    role_arn, region, bundle = facts["role_arn"], facts["region"], facts["ca_bundle"]
    partition = None if region is None else registry_hosts.partition_of(region)
    if role_arn is not None:
        try:
            partition = parse_role(role_arn).partition
        except ValueError as error:
            raise click.UsageError(f"--role-arn: {error}") from None
    return Configuration(
        generation=0,
        cluster=Cluster("", organisation, name),
        removing=False,
        selector={},
        role_arn=role_arn,
        identity=facts["identity"],
        audience=facts["audience"],
        region=region,
        match_images=facts["images"] or registry_hosts.kubelet_patterns(partition),
        max_unavailable=1,
        restart_device_nodes=False,
        verify_image=facts["verify_image"],
        aws=AwsEndpoints(
            sts_endpoint=facts["sts_endpoint"],
            ecr_endpoint=facts["ecr_endpoint"],
            https_proxy=facts["https_proxy"],
            no_proxy=facts["no_proxy"],
            ca_bundle=None if bundle is None else bundle.read_text(encoding="utf-8"),
        ),
    )


def _show_plan(planned: Planned) -> None:
    click.echo(f"{planned.distribution} node, {planned.service}")
    if planned.elsewhere:
        click.echo("nothing to do: another provider serves ECR with the node's own role")
        return
    click.echo(f"would put {planned.plugin}, if it is not there")
    for path in planned.files:
        click.echo(f"would write {path}")
    if not planned.files:
        click.echo("the kubelet's files are as they should be")


def _show(done: Installed) -> None:
    click.echo(f"{done.distribution} node")
    for path in done.changed:
        click.echo(f"wrote {path}")
    if done.message:
        click.echo(done.message)
    elif done.restarted:
        click.echo("the kubelet was restarted and is healthy")
    else:
        click.echo("the kubelet was not restarted")
