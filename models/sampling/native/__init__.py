"""The native executor of step programs, on processors.

library      the builds of its C++ source, and loading the best one
compiled     a program as the C++ reads it
layout       where its grids and registers lie
packing      its weights
forced       a step in an order that takes in many given positions at once
structures   what passes between Python and C++; `abi.h` is its mirror image
tile         a unit of 16 slots, or of one
executor     units that run together, on threads
"""

from ancestral.models.sampling.native.library import available

__all__ = ["available"]
