"""The likeliest tokens of each row, by the compiled loops and by torch alike."""

import pytest
import torch

from attncompare.attention.kernels import likeliest as module
from attncompare.attention.kernels.build import library
from attncompare.attention.kernels.likeliest import likeliest

compiled = pytest.param(True, id="compiled", marks=pytest.mark.skipif(library() is None, reason="no C++ compiler"))


@pytest.fixture(params=[compiled, pytest.param(False, id="torch")])
def _either(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(module, "serves", lambda _: False)


either = pytest.mark.usefixtures("_either")


@either
@pytest.mark.parametrize(
    ("vocabulary", "count"), [(1, 1), (1, 6), (7, 6), (16, 16), (17, 3), (1000, 64), (1000, 65), (8003, 6)]
)
def test_they_are_the_largest_with_their_log_probabilities(vocabulary, count):
    logits_NV = 5 * torch.randn(23, vocabulary)
    log_NC, token_NC = likeliest(logits_NV, count)
    expected_NV = logits_NV.double().log_softmax(1)
    largest_NC, place_NC = expected_NV.topk(min(count, vocabulary), dim=1)
    assert log_NC.dtype == torch.float64
    torch.testing.assert_close(log_NC, largest_NC, atol=1e-6, rtol=1e-6)
    assert torch.equal(token_NC, place_NC)


@either
def test_equal_logits_rank_by_id():
    logits_NV = torch.tensor([[0.0, 2.0, 1.0, 2.0, 1.0], [3.0, 3.0, 3.0, 3.0, 3.0]])
    assert likeliest(logits_NV, 5)[1].tolist() == [[1, 3, 2, 4, 0], [0, 1, 2, 3, 4]]


@compiled.marks[0]
def test_of_equal_logits_those_that_stand_first_are_taken():
    assert likeliest(torch.zeros(2, 100), 3)[1].tolist() == [[0, 1, 2], [0, 1, 2]]


@either
def test_what_cannot_be_has_no_probability():
    logits_NV = torch.full((1, 40), -torch.inf)
    logits_NV[0, 33] = 1.0
    log_NC, token_NC = likeliest(logits_NV, 2)
    assert token_NC[0, 0] == 33
    assert log_NC.tolist() == [[0.0, -torch.inf]]


@either
def test_the_order_of_memory_is_of_no_matter():
    logits_NV = torch.randn(50, 9).T
    for one, other in zip(likeliest(logits_NV, 4), likeliest(logits_NV.contiguous(), 4), strict=True):
        torch.testing.assert_close(one, other)
