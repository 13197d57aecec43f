"""From a network and a request to symbols, one at a time, with everything before them remembered.

program     one step of a network as plain data
philox      the only random source: a uniform number for each (seed, sample, position)
draw        logits and a uniform number to a symbol
reference   the torch executor of programs: one tile of slots
sampler     requests in, samples out; slots filled and freed
"""
