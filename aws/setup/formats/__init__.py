"""What AWS must hold, written down for tools that people already use, for those who may not or will not run ours.

Each format is complete (provider, role, trust, permissions, the role for nodes), valid in its own tool, and has the
same effect as `pullpass aws setup` on an account that holds none of it. Called by `cli` and `addon_api`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aws.setup.formats import cloudformation, document, shell, terraform
from aws.setup.wanted import Wanted

# By the word that asks for it: the text, and what a browser should call it.
FORMATS: Mapping[str, Callable[[Wanted], str]] = {
    "cli": shell.render,
    "cloudformation": cloudformation.render,
    "terraform": terraform.render,
    "json": document.render,
}
CONTENT_TYPES: Mapping[str, str] = {
    "cli": "text/x-shellscript",
    "cloudformation": "application/yaml",
    "terraform": "text/plain",
    "json": "application/json",
}
FILE_NAMES: Mapping[str, str] = {
    "cli": "setup.sh",
    "cloudformation": "pullpass.yaml",
    "terraform": "pullpass.tf",
    "json": "pullpass.json",
}
