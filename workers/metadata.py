"""What an artifact tells of itself, as text that every format can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ancestral.workers.errors import EncodeError


def canonical_json(data: Mapping[str, Any]) -> str:
    """JSON that is equal when the data are: sorted keys, no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def parse_metadata(comment: str, what: str) -> dict[str, str]:
    """The metadata that lies in a file's comment as JSON.

    Raises EncodeError, which names the file as `what`, when it is no comment of ours.
    """
    try:
        metadata = json.loads(comment)
    except json.JSONDecodeError as error:
        raise EncodeError(f"{what} is none of ours: its comment is no JSON") from error
    if not isinstance(metadata, dict):
        raise EncodeError(f"{what} is none of ours: its comment is {metadata!r}")
    return {str(key): str(value) for key, value in metadata.items()}
