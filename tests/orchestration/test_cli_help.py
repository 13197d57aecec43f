"""What the help tells beside the commands: exit codes, and what else has to be installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ancestral.orchestration import cli as command_line
from ancestral.orchestration.cli import cli
from ancestral.orchestration.errors import BROKEN, DONE, STOPPED, UNAVAILABLE, WRONG_USE

README = Path(__file__).parents[2] / "README.md"

CODES = [DONE, BROKEN, WRONG_USE, UNAVAILABLE, STOPPED]


def help_of(*command: str) -> str:
    result = CliRunner().invoke(cli, [*command, "--help"])
    assert result.exit_code == 0
    return result.output


def test_the_help_tells_every_exit_code_on_a_line_of_its_own() -> None:
    _, _, codes = help_of().partition("Exit codes:\n")

    assert [int(code) for code in re.findall(r"^ +(\d+)   ", codes, re.M)] == CODES


@pytest.mark.parametrize("text", [command_line.__doc__, README.read_text(encoding="utf-8")])
def test_so_do_the_other_places_that_tell_them(text: str) -> None:
    # Given what stands after "exit" in the docstring, and after "exits with" in the README
    (told,) = re.findall(r"an exit code:\n\n(.*)|It exits with (.*?\.)\s", text, re.S)

    # Then the same numbers stand there in the same order
    assert [int(code) for code in re.findall(r"\b\d+\b", "".join(told))] == CODES


def test_the_help_of_train_says_what_a_model_in_a_folder_is_called() -> None:
    assert "the model is called as the folder" in " ".join(help_of("train").split())


def test_the_help_of_train_says_how_curves_are_looked_at() -> None:
    told = " ".join(help_of("train").split())

    assert "ANCESTRAL_HOME" in told
    assert told.index("pip install tensorboard") < told.index("tensorboard --logdir")
