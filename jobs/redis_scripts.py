"""The queue's moves on a Redis server, each a Lua script of the folder `lua`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import redis
from redis.commands.core import Script

from ancestral.jobs.queue import Lease
from ancestral.jobs.redis_errors import translated_errors
from ancestral.jobs.units import Unit

_FOLDER = files("ancestral.jobs") / "lua"

_COMMON = "common.lua"


class Scripts:
    """Calls moves by the name of their file."""

    def __init__(
        self, client: redis.Redis, address: str, shard: str, constants: Mapping[str, float]
    ) -> None:
        """`address` is told in errors, `shard` begins every key; scripts see the `constants`."""
        self._client = client
        self._address = address
        self._shard = shard
        lines = [f"local {name} = {value}\n" for name, value in constants.items()]
        self._shared = "".join(lines) + (_FOLDER / _COMMON).read_text("utf-8")
        self._scripts = {
            file.name.removesuffix(".lua"): self._register(file.read_text("utf-8"))
            for file in _FOLDER.iterdir()
            if file.name != _COMMON
        }

    def run(self, name: str, *arguments: str | int) -> Any:
        """What the move returns; it is loaded again whenever the server has forgotten it.

        Raises QueueError.
        """
        with translated_errors(self._address):
            return self._scripts[name](keys=[self._shard], args=arguments)

    def _register(self, text: str) -> Script:
        # The first line tells the server what kind of script it is.
        first_line, move = text.split("\n", 1)
        return self._client.register_script(f"{first_line}\n{self._shared}\n{move}")


def parse_lease(told: Sequence[Any]) -> Lease:
    """The lease that `tell` in common.lua speaks of."""
    job_id, output, unit, fence, worker, attempts, error, copy, alone, guided_rows = told
    return Lease(
        job_id=job_id,
        output=output,
        unit=Unit.parse(unit),
        fence=int(fence),
        worker=worker,
        attempts=attempts,
        last_error=error if attempts else None,
        copy=bool(copy),
        alone=bool(alone),
        guided_rows=guided_rows,
    )
