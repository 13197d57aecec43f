"""Event files, read again as TensorBoard does.

A record is its length (8 bytes, little endian), a checksum of that, its bytes, and a checksum of
them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def read_events(folder: Path) -> Iterator[Event]:
    """All events of a run, in the order in which they were written."""
    files = [list(_events(file)) for file in folder.glob("events.*")]
    for events in sorted(filter(None, files), key=lambda events: events[0].wall_time):
        yield from events


def _events(file: Path) -> Iterator[Event]:
    data = file.read_bytes()
    while len(data) >= 12:
        (length,) = struct.unpack("<Q", data[:8])
        yield Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]


def read_curve(folder: Path, tag: str) -> dict[int, float]:
    """The scalars of that name by step. What a process that went on did again counts once."""
    curve: dict[int, float] = {}
    for event in read_events(folder):
        if event.HasField("session_log"):
            curve = {step: value for step, value in curve.items() if step < event.step}
        for value in event.summary.value:
            if value.tag == tag:
                curve[event.step] = value.simple_value
    return curve
