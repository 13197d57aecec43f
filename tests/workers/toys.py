"""Two tiny models in bundles, and jobs for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ancestral.jobs.client import Client
from ancestral.jobs.settings import Settings
from ancestral.models import save_bundle
from tests.models.nets import DIGITS, SPEAKERS, image_case, sound_case

IMAGES = image_case(labels=DIGITS)
SOUNDS = sound_case(speaker=True, digit=True)
GRIDS = {
    "images": {"label": list(DIGITS)},
    "sounds": {"speaker": list(SPEAKERS), "digit": list(DIGITS)},
}


class Toys:
    """A folder with the models, a home, and a lake."""

    #: Of jobs, unless they say otherwise.
    sampling: dict[str, Any]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(folder / "home", str(folder / "home" / "state"))
        self.client = Client(self.settings)
        for name, case in (("images", IMAGES), ("sounds", SOUNDS)):
            save_bundle(folder / name, case.net, card="A toy.", metrics={})

    def spec(self, model: str, **given: Any) -> dict[str, Any]:
        return {
            "name": f"tiny {model}",
            "model": str(self.folder / model),
            "output": str(self.folder / "lake"),
            "sampling": self.sampling,
            **({} if "input" in given else {"grid": GRIDS[model]}),
            **given,
        }

    def requests(self, *requests: dict[str, Any]) -> str:
        """A file of these."""
        file = self.folder / "requests.jsonl"
        file.write_text("\n".join(map(json.dumps, requests)))
        return str(file)
