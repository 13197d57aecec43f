"""The graph executor: steps that are recorded once and run again without Python.

recorder    records a step: as a CUDA graph, or, on any device, operation by operation
phases      steps that differ: one record each
indexed     memory whose columns are found on the device, so that they need no record each
chunk       what the positions of a run take in and give out
tile        slots whose steps are recorded
executor    tiles, recorded when they are made
"""
