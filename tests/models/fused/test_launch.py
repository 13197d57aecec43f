"""What compiled kernels need beside a GPU."""

from pathlib import Path

import pytest

from ancestral.models.errors import ConfigError
from ancestral.models.sampling.fused.launch import TritonLauncher, check_compiler


def test_without_a_c_compiler_no_kernel_is_promised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigError, match="need a C compiler: install gcc"):
        TritonLauncher("", warps=4)


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_a_compiler_is_found_where_commands_are(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    command = tmp_path / name
    command.touch()
    command.chmod(0o755)

    check_compiler()


def test_a_compiler_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "/opt/cc")

    check_compiler()
