"""From a network and a request to symbols, one at a time, with everything before them remembered.

ops             what a step program is made of
program         one step of a network as plain data, drawn
checks          programs that contradict themselves are refused
distributions   what a network's outputs mean
philox          the only random source: a uniform number for each (seed, sample, position)
draw            weights and a uniform number to a symbol
tile            slots in step, what each draws, and what it remembers
executor        what runs programs: the contract
torch_state     what decides the bits that torch gives, and their name
executors       which one runs here
reference       the torch executor, on any device
torch_tile      what it has in common with graph
step            one step of a tile, in place
grid_memory     what a tile remembers in one grid
memory          ... and besides: registers and conditioning
actions         each op as torch operations
graph           the same steps, recorded: as CUDA graphs on GPUs
fused           kernels of many steps, for GPUs
native          the executor in C++, on processors
budget          how many slots a device's memory has room for
aligned         conditioning of sounds, projected a piece at a time
warm            what samples of one request or prefix share
samples         requests, samples, and half-drawn ones
requests        a request to what its slot needs
sampler         requests in, samples out; slots filled and freed
"""
