"""Commands that pages name, asked of the command line."""

from __future__ import annotations

from click.testing import CliRunner

from ancestral.orchestration.cli import cli


def complaint(command: list[str]) -> str | None:
    """What the command line says against a command, if anything; options are checked too."""
    result = CliRunner().invoke(cli, [*command, "--help"])
    return None if result.exit_code == 0 else result.output
