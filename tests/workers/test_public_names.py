"""What `ancestral.workers` offers, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import ancestral.workers


def test_every_public_name_is_there() -> None:
    assert ancestral.workers.__all__ == sorted(ancestral.workers.__all__)
    for name in ancestral.workers.__all__:
        assert hasattr(ancestral.workers, name), name


def test_torch_is_not_loaded_before_something_is_drawn() -> None:
    script = (
        "import sys, ancestral.workers;"
        "print([name for name in ('torch', 'ray') if name in sys.modules])"
    )

    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert printed.stdout.decode().strip() == "[]"
