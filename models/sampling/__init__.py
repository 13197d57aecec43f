"""From a network and a request to symbols, one at a time, with everything before them remembered.

ops             what a step program is made of
program         one step of a network as plain data, drawn
checks          programs that contradict themselves are refused
distributions   what a network's outputs mean
philox          the only random source: a uniform number for each (seed, sample, position)
draw            weights and a uniform number to a symbol
memory          what a tile of slots remembers
actions         each op as torch operations
reference       the torch executor of programs: one tile of slots
sampler         requests in, samples out; slots filled and freed
"""
