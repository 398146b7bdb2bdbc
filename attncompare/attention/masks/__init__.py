"""Who may attend to whom: what all masks share (base.py), and one file for each pattern that a config may choose."""

from attncompare.attention.masks.base import Mask, causal_mask, checked, combine, make_mask, padding_mask

__all__ = ["Mask", "causal_mask", "checked", "combine", "make_mask", "padding_mask"]
