"""A step whose symbols are known, for many positions at once: what takes in a prefix.

A step draws a symbol, remembers it, and the next step reads it: one position after another. When
the symbols are given, all that is read to the left of a position within its row is either given,
or computed by other ops: then an op can do all positions of a row (of a sound, a stretch of it)
before the next op begins.

    a step      read the past · multiply · ... · head · draw · look up · remember the symbol
    forced      look up · remember the symbols · read the past · multiply · ...

So each op comes after those that write what it reads of its own row, and what only leads to a draw
is left out.
"""

from __future__ import annotations

import heapq
from dataclasses import replace

from ancestral.models.sampling.ops import (
    Add,
    Grid,
    Op,
    Read,
    Register,
    When,
    changed,
    differs_by_column,
    placed,
    sources,
)
from ancestral.models.sampling.program import StepProgram

Items = tuple[Op | When, ...]
#: An op, and when it is due.
Placed = tuple[Op, When]

ALWAYS = When(())


def forced_step(program: StepProgram) -> Items | None:
    """The ops of a step in an order in which each can do a whole row at a time.

    None when there is no such order: a position needs what the step before it made of its symbol.
    """
    step = list(placed(program.step))
    if any(differs_by_column(op) for op, _ in step) or not _apart(step):
        return None
    step = [pair for pair, wanted in zip(step, _needed(step), strict=True) if wanted]
    order = _in_order(_waits([op for op, _ in step]))
    if order is None:
        return None
    ordered = (step[number] for number in order)
    return tuple(op if when == ALWAYS else replace(when, ops=(op,)) for op, when in ordered)


def _apart(step: list[Placed]) -> bool:
    """Whether each register belongs to ops that are due at the same columns: in a row, it holds a
    vector for each of those."""
    columns: dict[object, tuple[int, int]] = {}
    for op, when in step:
        due = when.column_step, when.column
        if any(columns.setdefault(register, due) != due for register in _uses(op)):
            return False
    return True


def _needed(step: list[Placed]) -> list[bool]:
    """Which ops lead to something remembered."""
    wanted: set[Register] = set()
    needed = [False] * len(step)
    for number, (op, when) in reversed(list(enumerate(step))):
        target = changed(op)
        if not (isinstance(target, Grid) or target in wanted):
            continue
        needed[number] = True
        if isinstance(target, Register) and when == ALWAYS and not _adds(op):
            wanted.discard(target)
        wanted |= {source for source in sources(op) if isinstance(source, Register)}
    return needed


def _adds(op: Op) -> bool:
    """Whether something of the target's earlier content is left."""
    return isinstance(op, Add) or bool(getattr(op, "accumulate", False))


def _waits(ops: list[Op]) -> list[set[int]]:
    """For each op the ops that come before it: those that write what it reads of its own row, and,
    of the earlier ones, those that changed a register of its own or used one that it changes."""
    waits: list[set[int]] = [set() for _ in ops]
    for number, op in enumerate(ops):
        reads = [source for source in sources(op) if isinstance(source, Read)]
        here = {read.grid for read in reads if read.dy == 0 and read.dz == 0}
        for other, before in enumerate(ops):
            in_the_way = changed(before) in _uses(op) or changed(op) in _uses(before)
            if changed(before) in here or (other < number and in_the_way):
                waits[number].add(other)
    return waits


def _uses(op: Op) -> set[Register | Grid | None]:
    """The registers of an op."""
    places = (*sources(op), changed(op))
    return {place for place in places if isinstance(place, Register)}


def _in_order(waits: list[set[int]]) -> list[int] | None:
    """Each number after those that it waits for, the lowest first; None if some wait for each
    other."""
    left = [set(numbers) for numbers in waits]
    ready = [number for number, numbers in enumerate(left) if not numbers]
    order: list[int] = []
    while ready:
        done = heapq.heappop(ready)
        order.append(done)
        for number, numbers in enumerate(left):
            if done in numbers:
                numbers.remove(done)
                if not numbers:
                    heapq.heappush(ready, number)
    return order if len(order) == len(waits) else None
