"""What every model of a backbone has to keep, checked on a few random tokens: for the tests of whoever writes one."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attncompare.errors import Refused
from attncompare.model.base import Lengths, Vocabulary

_S, _T, _ROWS = 7, 6, 3  # source and target tokens, and rows of a batch
_PARTS = (1, 2, 1, 2)  # tokens that are read at once with a cache


def check_model(model: Any, vocabulary: Vocabulary) -> None:
    """Check a model on the CPU, with the parameters that it has; it is in evaluation mode meanwhile.

    - Logits are those of ``hidden`` and ``output_weight``, and every parameter has a part in them.
    - No logit depends on later tokens, nor on padding behind the source; in an encoder alone each depends on all tokens.
    - With caches the answer is the same in parts, also after ``keep`` took other rows, each with its own memory.
    - Weights are there for each of the ``sites``, (layers, B, H, queries, keys), and only where they are asked for.
    - ``forward_flops`` is not below the matrix products that torch counts.

    Args:
        model: a ``TextModel``, an ``EncoderModel`` or a ``PairModel``, initialized, whose masks show nothing of the future.
        vocabulary: for which it was made, of at least 8 tokens and a longest sequence of 7.

    Raises:
        Refused: names the class and the law. Errors of the model's own code pass through.
    """
    trains, generator = model.training, torch.Generator().manual_seed(0)
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            _check(model, vocabulary, generator)
    finally:
        model.train(trains)
        model.zero_grad()


def _check(model: Any, vocabulary: Vocabulary, generator: torch.Generator) -> None:
    from torch.utils.flop_counter import FlopCounterMode  # slow to import

    def tokens(length: int, size: int) -> Tensor:
        drawn = torch.randint(size - 1, (_ROWS, length), generator=generator)
        return drawn + (drawn >= vocabulary.pad)  # any but padding

    of_pairs, decodes = hasattr(type(model), "decode"), hasattr(type(model), "new_caches")
    _require(decodes or hasattr(type(model), "source_mask"), model, "an encoder alone must define source_mask")
    target_BT = tokens(_T, vocabulary.target)
    given: tuple[Tensor, ...] = (tokens(_S, vocabulary.source or vocabulary.target),) if of_pairs else ()
    logits_BTV = model(*given, target_BT).logits_BTV
    shape = (_ROWS, _T, vocabulary.target)
    of_shape = f"logits have the shape {tuple(logits_BTV.shape)}, must be (B, T, V) = {shape}"
    _require(tuple(logits_BTV.shape) == shape, model, of_shape)
    made_BTV = torch.nn.functional.linear(model.hidden(*given, target_BT), model.output_weight)
    _require(_same(made_BTV, logits_BTV), model, "logits are not those of hidden and output_weight")
    logits_BTV.logsumexp(-1).square().sum().backward()
    unused = [name for name, one in model.named_parameters() if one.requires_grad and one.grad is None]
    _require(not unused, model, f"the parameter {(unused or [''])[0]} has no part in the logits")
    with torch.no_grad():
        if decodes:
            _check_future(model, given, target_BT, logits_BTV)
            _check_caches(model, given, target_BT, logits_BTV)
        else:
            _check_all_seen(model, target_BT, logits_BTV, vocabulary.pad)
        if of_pairs:
            _check_padding(model, given[0], target_BT, logits_BTV, vocabulary.pad)
        _check_weights(model, given, target_BT)
        with FlopCounterMode(display=False) as counter:  # with weights, so that no kernel is in the way
            model(*given, target_BT, need_weights=True)
        claimed = _ROWS * model.forward_flops(Lengths(_S if of_pairs else 0, _T) if decodes else Lengths(_T, 0))
        counted = counter.get_total_flops()
        fewer = f"forward_flops says {claimed:g}, fewer than the {counted:g} of its matrix products"
        _require(claimed >= 0.999 * counted, model, fewer)


def _check_future(model: Any, given: tuple[Tensor, ...], target_BT: Tensor, logits_BTV: Tensor) -> None:
    for now in range(1, _T):
        other_BT = torch.cat((target_BT[:, :now], target_BT[:, now:].flip(0).roll(1, 1)), dim=1)
        past_BTV = model(*given, other_BT).logits_BTV[:, :now]
        _require(_same(past_BTV, logits_BTV[:, :now]), model, "a logit depends on tokens after it")


def _check_all_seen(model: Any, source_BS: Tensor, logits_BSV: Tensor, pad: int) -> None:
    other_BS = torch.cat((source_BS[:, :-1], source_BS[:, -1:].roll(1, 0)), dim=1)
    differs_B = (model(other_BS).logits_BTV[:, 0] - logits_BSV[:, 0]).abs().amax(-1) > 0
    _require(
        bool(differs_B[source_BS[:, -1] != other_BS[:, -1]].all()), model, "a logit does not depend on tokens after it"
    )
    padded_BS = torch.cat((source_BS, torch.full_like(source_BS[:, :1], pad)), dim=1)
    _require(_same(model(padded_BS).logits_BTV[:, :_T], logits_BSV), model, "a logit depends on padding")


def _check_padding(model: Any, source_BS: Tensor, target_BT: Tensor, logits_BTV: Tensor, pad: int) -> None:
    padded_BS = torch.cat((source_BS, torch.full_like(source_BS[:, :2], pad)), dim=1)[:, : _S + 1]
    _require(
        _same(model(padded_BS, target_BT).logits_BTV, logits_BTV), model, "a logit depends on padding of the source"
    )
    shorter_BS = source_BS.clone()
    shorter_BS[0, _S - 2 :] = pad
    among_TV = model(shorter_BS, target_BT).logits_BTV[0]
    alone_TV = model(source_BS[:1, : _S - 2], target_BT[:1]).logits_BTV[0]
    _require(_same(among_TV, alone_TV), model, "a row depends on how much longer the other sources of its batch are")


def _check_caches(model: Any, given: tuple[Tensor, ...], target_BT: Tensor, logits_BTV: Tensor) -> None:
    read, caches = _reader(model, given), model.new_caches()
    start, parts = 0, []
    for length in _PARTS:
        parts.append(read(target_BT[:, start : start + length], None, caches, start))
        start += length
    _require(_same(torch.cat(parts, dim=1), logits_BTV), model, "with caches logits are others than at once")
    chosen_N, sources_B = torch.tensor([2, 2, 0, 0]), torch.tensor([2, 0])  # two rows for each source that is kept
    caches, half = model.new_caches(), _T // 2
    read(target_BT[:, :half], None, caches, 0)
    for cache in caches:
        cache.keep(chosen_N, *((sources_B,) if given else ()))  # a text has no memory of which rows could be kept
    kept_NTV = read(target_BT[chosen_N, half:], sources_B, caches, half)
    _require(_same(kept_NTV, logits_BTV[chosen_N, half:]), model, "after keep a cache goes on with other rows")


def _reader(model: Any, given: tuple[Tensor, ...]) -> Callable[[Tensor, Tensor | None, list[Any], int], Tensor]:
    """Return what reads some tokens with caches, over the memory of some of the sources."""
    if not given:
        return lambda input_BT, _, caches, start: model(input_BT, caches=caches, start=start).logits_BTV
    may_attend = model.source_mask(given[0])
    memory_BSD, _ = model.encode(given[0], may_attend)

    def read(target_NT: Tensor, sources_B: Tensor | None, caches: list[Any], start: int) -> Tensor:
        some = slice(None) if sources_B is None else sources_B
        return model.decode(target_NT, memory_BSD[some], may_attend[some], caches=caches, start=start)[0]

    return read


def _check_weights(model: Any, given: tuple[Tensor, ...], target_BT: Tensor) -> None:
    _require(not model(*given, target_BT).weights, model, "weights are there though nobody asked for them")
    weights = model(*given, target_BT, need_weights=True).weights or {}
    sizes = {"source": _S if given else _T, "target": _T}
    _require(weights.keys() == model.sites.keys(), model, f"weights of {sorted(weights)}, sites {sorted(model.sites)}")
    for name, site in model.sites.items():
        found, wanted = tuple(weights[name].shape), (_ROWS, sizes[site.queries], sizes[site.keys])
        fits = len(found) == 5 and (found[1], *found[3:]) == wanted
        shape = f"weights of {name} have the shape {found}, must be (layers, B, H, T, S) with B, T, S = {wanted}"
        _require(fits, model, shape)


def _require(kept: bool, model: Any, otherwise: str) -> None:
    if not kept:
        raise Refused(f"model {type(model).__name__}: {otherwise}")


def _same(first: Tensor, second: Tensor) -> bool:
    return torch.allclose(first, second, rtol=1e-4, atol=1e-4)
