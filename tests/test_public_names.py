"""What the packages show, and what importing them costs."""

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

PACKAGES = ["jobs", "models", "models.sampling.native", "workers", "orchestration"]

#: What importing a package must not load.
FORBIDDEN = {
    "jobs": ["torch", "ray", "PIL", "soundfile", "botocore", "deltalake", "pyiceberg"],
    "workers": ["torch", "ray"],
    "models": ["ray", "redis", "fsspec", "pyarrow", "pydantic", "PIL", "soundfile"],
}


@pytest.mark.parametrize("name", PACKAGES)
def test_all_is_what_is_there(name: str) -> None:
    package = importlib.import_module(f"ancestral.{name}")
    public = {
        each
        for each, value in vars(package).items()
        if not each.startswith("_") and not isinstance(value, ModuleType)
    }
    shown = getattr(package, "__all__", [])
    assert sorted(shown) == sorted(public)
    assert len(set(shown)) == len(shown)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_importing_is_cheap(name: str) -> None:
    code = f"import ancestral.{name}, sys; print(*(name.split('.')[0] for name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "ancestral" in loaded
    assert loaded.isdisjoint(FORBIDDEN[name])
