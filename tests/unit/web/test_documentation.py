"""Every path of the console is documented, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

from web import app

PAGE = Path(__file__).parents[3] / "docs/explanation/console.md"
NAMES = {
    "<name>": "NAME",
    "<add_on>": "ADD_ON",
    "<form>": "FORMAT",
    "<session_id>": "ID",
    "/static/<digest>/NAME": "/static/DIGEST/FILE",
}


def test_every_path_is_documented_and_no_other() -> None:
    modules = [module for module in vars(app).values() if isinstance(module, ModuleType)]
    paths = {page.path for module in modules for page in getattr(module, "PAGES", ())}
    for before, after in NAMES.items():
        paths = {path.replace(before, after) for path in paths}
    text = PAGE.read_text(encoding="utf-8").partition("\n## The pages\n")[2]
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    assert paths == {path for row in rows for path in re.findall(r"`(/[^`]*)`", row)}
