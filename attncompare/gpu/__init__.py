"""Loops that torch has no operator for, in Triton for CUDA devices; native/ has the same mathematics for the CPU.

triton.py            whether Triton is at hand
additive_parts.py    what the kernels share: tanh, scores of a tile, who may attend, dropout
additive_kernels.py  additive attention, forward and backward, in memory linear in T and S
additive.py          the same as a differentiable function of tensors
"""
