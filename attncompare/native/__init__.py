"""Loops that torch has no operator for, in C++ for the CPU: compiled once for each machine, where there is a compiler.

additive.cpp        additive attention, forward and backward, in memory linear in T and S
vector.h            sixteen floats at a time
library.py          compiles, keeps and loads them
additive.py         the same as a differentiable function of tensors
"""
