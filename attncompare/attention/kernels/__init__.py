"""Loops that torch has no operator for: C++ for the CPU, Triton for CUDA, each beside its plain form in torch."""
