"""The job in a file that a command is given, for other processes to draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ancestral.jobs.spec import JobSpec


def read_job_file(file: str) -> JobSpec:
    """Raises SpecError."""
    from ancestral.jobs.errors import SpecError
    from ancestral.jobs.spec import load_spec

    spec = load_spec(file)
    if spec.output.lower().startswith("memory://"):
        raise SpecError(
            f"{file}: 'output' is {spec.output}, and memory:// lives in one process only: give a "
            "folder or a bucket"
        )
    return spec
