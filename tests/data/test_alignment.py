"""From aligned characters to aligned tokens, and the probes that carry them."""

import numpy as np

from attncompare.data.kinds.parallel import align


def test_fields_of_one_token_are_sure_and_longer_ones_possible():
    text = ("March 3, 2024", "3. März 2024")
    spans = ([[0, 5, 0], [6, 7, 1], [9, 13, 2]], [[0, 1, 1], [3, 7, 0], [8, 12, 2]])
    source = [(0, 5), (5, 7), (7, 8), (8, 11), (11, 13)]  # March| 3|,| 20|24
    target = [(0, 1), (1, 2), (2, 7), (7, 10), (10, 12)]  # 3|.| März| 20|24
    sure, possible = align(text, spans, (source, target))
    expected = np.array(
        [[0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=bool
    )
    assert (sure == expected).all()
    expected[3:, 3:] = True
    assert (possible == expected).all()


def test_a_field_in_two_places_is_possible_in_both():
    text = ("7:05 PM", "19:05")
    spans = ([[0, 1, 0], [2, 4, 1], [5, 7, 0]], [[0, 2, 0], [3, 5, 1]])
    sure, possible = align(text, spans, ([(0, 1), (1, 2), (2, 4), (4, 7)], [(0, 2), (2, 3), (3, 5)]))
    assert possible.astype(int).tolist() == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert sure.astype(int).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]


def test_a_token_across_two_fields_belongs_to_both():
    sure, possible = align(("ab", "ab"), ([[0, 1, 0], [1, 2, 1]],) * 2, ([(0, 2)], [(0, 1), (1, 2)]))
    assert possible.all()
    assert sure.all()
