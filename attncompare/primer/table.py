"""Self-attention without parameters as a table to play with: on the page of the primer one cell changes all."""

import json
from collections.abc import Sequence
from html import escape

import numpy as np


class SelfAttentionTable:
    """Rows with characteristics, what they have in common, and what becomes of them: R = QQᵀ, W = softmax(R), T = WQ.

    In notebooks it is a table of Q; on the page of the primer its cells can be changed, and R, W and T stand beside it.

    Args:
        rows: names of the N rows.
        columns: names of the D characteristics.
        q_ND: their numbers.
    """

    def __init__(self, rows: Sequence[str], columns: Sequence[str], q_ND: np.ndarray) -> None:
        self.rows, self.columns, self.q_ND = list(rows), list(columns), np.asarray(q_ND, float)

    def computed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return R (N, N), W (N, N) and T (N, D)."""
        r_NN = self.q_ND @ self.q_ND.T
        e_NN = np.exp(r_NN - r_NN.max(-1, keepdims=True))
        w_NN = e_NN / e_NN.sum(-1, keepdims=True)
        return r_NN, w_NN, w_NN @ self.q_ND

    def _repr_html_(self) -> str:
        data = escape(json.dumps({"rows": self.rows, "columns": self.columns, "q": self.q_ND.tolist()}))
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        lines = [
            f"<tr><th>{escape(name)}</th>{''.join(f'<td>{value:g}</td>' for value in values)}</tr>"
            for name, values in zip(self.rows, self.q_ND.tolist(), strict=True)
        ]
        return f'<div class="pp-attention" data-attention="{data}">\n<table>\n<tr><th>Q</th>{head}</tr>\n' + (
            "\n".join(lines) + "\n</table>\n</div>"
        )
