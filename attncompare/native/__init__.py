"""Loops that torch has no operator for, in C++ for the CPU: compiled once for each machine, where there is a compiler.

vector.h            sixteen floats at a time
additive.cpp        additive attention, forward and backward, in memory linear in T and S
dot.cpp             dot-product attention over short sequences
dropout.cpp         dropout from a counter, fused with the addition before it
cross_entropy.cpp   the loss over a vocabulary, whose gradient takes the logits' place
likeliest.cpp       the likeliest tokens of a search
library.py          compiles, keeps and loads them
pointers.py         how tensors reach them
additive.py, dot.py, dropout.py, cross_entropy.py, likeliest.py   each as a function of tensors
heap.py             what the C library does with freed memory
"""
