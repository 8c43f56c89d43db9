"""`pullpass completion`: the script that lets a shell complete commands, options, clusters and hubs."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_PULLPASS_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    bash: eval "$(pullpass completion bash)" in ~/.bashrc. zsh: the same with zsh in ~/.zshrc. fish: pullpass completion
    fish > ~/.config/fish/completions/pullpass.fish
    """
    root = click.get_current_context().find_root()
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not known")
    click.echo(kind(root.command, {}, "pullpass", _VARIABLE).source())
