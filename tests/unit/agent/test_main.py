import pytest

from agent.__main__ import USAGE, main


@pytest.mark.parametrize("arguments", [[], ["node"], ["secrets", "--help"]])
def test_anything_but_secrets_shows_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"{USAGE}\n"
