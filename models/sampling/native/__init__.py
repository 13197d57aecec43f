"""The native executor of step programs, on processors.

library     the builds of its C++ source, and loading the best one
"""

from ancestral.models.sampling.native.library import available, multiply_add_gflops

__all__ = ["available", "multiply_add_gflops"]
