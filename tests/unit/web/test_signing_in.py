"""Signing in with a token or a link, the cookie, and what a forged request meets."""

from __future__ import annotations

from tests.support.console import Console


def test_a_token_signs_in(console: Console) -> None:
    assert "Clusters" in console.browser("viewer").text("/clusters")
