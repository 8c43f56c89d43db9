from __future__ import annotations

import pytest
import structlog

from cli import logs

SECRET = "pp_must_never_be_seen"


def fail() -> None:
    token = SECRET
    raise ValueError(f"a token of {len(token)} characters did not work")


@pytest.mark.parametrize("terminal", [False, True], ids=["json", "terminal"])
def test_a_traceback_shows_no_local_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    logs.set_up("info")
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("it failed")
    finally:
        structlog.reset_defaults()
    written = capsys.readouterr().err
    assert [True, False] == ["did not work" in written, SECRET in written]
