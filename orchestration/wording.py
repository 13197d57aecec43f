"""Counts, moments, durations and sizes, as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(text: str) -> str:
    """An ISO moment for people: 2026-11-22 15:30 UTC."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def counted(count: int, name: str) -> str:
    """1 request, 1,000 requests."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """12.3 s, 4 min 5 s, 2 h 30 min."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def clock_text(seconds: float) -> str:
    """0:18, 2:03:18."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size(count: float) -> str:
    """So many bytes: 999 bytes, 1.2 kB, 3.4 TB."""
    unit = "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if count < 1000:
            break
        count, unit = count / 1000, larger
    return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
