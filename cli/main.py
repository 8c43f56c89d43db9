"""`pullpass`: the root of the commands. Each command's module is imported only when it is called."""

from __future__ import annotations

import importlib
import os
from typing import ClassVar

import click

from schemas.version import __version__


class LazyGroup(click.Group):
    """A group whose commands live in modules that are imported on use: `--help` and `--version` stay quick."""

    modules: ClassVar[dict[str, str]] = {
        "addons": "cli.addons:addons",
        "aws": "cli.aws:aws",
        "clusters": "cli.clusters:clusters",
        "completion": "cli.completion:completion",
        "connect": "cli.connect:connect",
        "contexts": "cli.login:contexts_group",
        "controller": "cli.controller:controller",
        "disconnect": "cli.disconnect:disconnect",
        "doctor": "cli.doctor:doctor",
        "explain": "cli.explain:explain",
        "issuer": "cli.issuer:issuer",
        "login": "cli.login:login",
        "node": "cli.node:node",
        "oidc": "cli.oidc:oidc",
        "reconnect": "cli.connect:reconnect",
        "rotate-keys": "cli.rotate_keys:rotate_keys",
        "serve": "cli.serve:serve",
        "tokens": "cli.tokens:tokens",
        "trust-policy": "cli.trust_policy:trust_policy",
        "up": "cli.up:up",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in self.modules:
            return None
        module, _, attribute = self.modules[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pullpass")
@click.pass_context
def main(context: click.Context) -> None:
    """Private Amazon ECR images in any Kubernetes cluster, without a stored AWS key."""
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        context.color = False
