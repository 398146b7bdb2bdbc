"""What a run takes of memory and time, estimated from its config before anything is built.

Every estimate is a lower bound, and it refuses only beyond twice the memory that there is: a run that would fit is never
turned away. What fits by the estimate and still does not in fact ends in words too (:mod:`attncompare.training.faults`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from attncompare.attention import ScoreFunction
from attncompare.config import LocaleConfig, RecallConfig, ReverseConfig, RunConfig
from attncompare.errors import Refused
from attncompare.model import ModelSize
from attncompare.model.cost import Lengths, planned_activations, planned_map, planned_parameters
from attncompare.registry import load_score
from attncompare.text import byte_size
from attncompare.training.machine import total_memory

_SLACK = 2  # how many times the memory there is an estimate must exceed to be refused
_FLOAT = 4  # bytes
_TRAINED = 4  # a parameter, its gradient, and the optimizer's two moments
_TABLE = 2.5  # numbers that making one number of the fixed positions takes for a moment
_ROW = 500  # bytes that a generated row takes at least as Python's objects, and below, what its symbols add
_LETTER, _SYMBOL, _PHRASE = 100, 8, 1000
_MOST_PHRASES, _PHRASES_A_SECOND = 2_000_000, 3000
PARAMETERS = "its parameters, their gradients and the optimizer's two moments"
POSITIONS = "its table of positions"
_LEAST_VOCABULARY = 5  # four special tokens, and one that says something


@dataclass(frozen=True)
class Seen:
    """What the data say of the largest batch, once they are prepared.

    Attributes:
        vocabulary: tokens; with separate vocabularies those of the target.
        rows: sequences in the train split.
        lengths: mean tokens of these.
        source_vocabulary: tokens of a source with a vocabulary of its own; None: it has none, or it is not yet known.
    """

    vocabulary: int
    rows: int
    lengths: Lengths
    source_vocabulary: int | None = None

    @classmethod
    def of(cls, report: dict[str, Any], max_length: int) -> "Seen":
        """Return what the report of prepared data says (:class:`attncompare.data.module.DataModule`)."""
        train = report["train"]
        rows = train["rows"] - train["left_out"]
        if "source_tokens" in train:
            lengths = Lengths(train["source_tokens"] / rows, train["target_tokens"] / rows)
        elif "scored_tokens" in train:
            lengths = Lengths(0, train["tokens"] / rows)
        else:  # one long text, cut into windows
            rows, lengths = (train["tokens"] + 1) // max_length - 1, Lengths(0, max_length)
        return cls(report["vocab_size"], rows, lengths, report.get("source_vocab_size"))


NOTHING_SEEN = Seen(_LEAST_VOCABULARY, 1, Lengths(0, 1))


def require_feasible(config: RunConfig, seen: Seen = NOTHING_SEEN) -> None:
    """Refuse a run that this machine clearly cannot hold.

    Args:
        config: the run.
        seen: what is known of its data; before they are prepared, the least that is possible.

    Raises:
        Refused: names the keys that make it large, what it takes, and what there is.
    """
    _require_corpus(config)
    memory, where = _memory(config)
    _require_memory(sizes(config, seen), lambda values: model_bytes(values, config, seen), memory, where)


def sizes(config: RunConfig, seen: Seen) -> dict[str, int]:
    """Return the numbers that decide how large the model and a step are, each under its key."""
    asked = config.data.tokenizer.vocab_size
    found = {
        "backbone.d_model": config.backbone.d_model,
        "backbone.layers": config.backbone.layers,
        "backbone.d_ff": config.backbone.d_ff,
        "attention.heads": config.attention.heads,
        "task.max_length": config.task.max_length,
        **dict([config.data.batch]),
        "vocabulary" if asked is None else "data.tokenizer.vocab_size": asked or seen.vocabulary,
    }
    if asked is None and not config.data.tokenizer.joint:
        found["source vocabulary"] = seen.source_vocabulary or _LEAST_VOCABULARY
    if config.attention.head_dim is not None:
        found["attention.head_dim"] = config.attention.head_dim
    return found


def model_bytes(values: dict[str, int], config: RunConfig, seen: Seen) -> dict[str, float]:
    """Return the bytes that the model and a training step take at least, by what they are for.

    Args:
        values: as :func:`sizes` gives them, which may have been changed.
        config: what else there is to know.
        seen: the data.
    """
    cross, heads = config.task.name == "translation", values["attention.heads"]
    asked = values.get("data.tokenizer.vocab_size")
    size = ModelSize(
        vocab_size=asked or values["vocabulary"],
        source_vocab_size=None if config.data.tokenizer.joint else asked or values["source vocabulary"],
        max_length=values["task.max_length"],
        d_model=values["backbone.d_model"],
        layers=values["backbone.layers"],
        d_ff=values["backbone.d_ff"],
        dropout=0.0,
        positions=config.backbone.positions,
        bias=config.backbone.bias,
    )
    inner = heads * (values.get("attention.head_dim") or -(-size.d_model // heads))
    longest = Lengths(*(min(length, size.max_length) for length in (seen.lengths.source, seen.lengths.target)))
    batch = min(_rows_in_a_batch(values, longest), seen.rows)
    maps = planned_map(size.layers, heads, longest)
    # Those of the probes are made one sequence at a time, those of a score without a kernel for every step.
    maps *= batch * 2 if _keeps_maps(config) else min(config.tracking.probes, 1)
    number = _FLOAT if config.trainer.precision == "32-true" else _FLOAT / 2
    fixed = size.max_length * size.d_model if config.backbone.positions == "sinusoidal" else 0
    return {
        PARAMETERS: float(_FLOAT * _TRAINED * planned_parameters(size, inner, cross=cross)),
        POSITIONS: _FLOAT * _TABLE * fixed,
        "what a step keeps for its backward pass": number * batch * planned_activations(size, inner, longest),
        "attention weights": number * maps,
    }


def _rows_in_a_batch(values: dict[str, int], lengths: Lengths) -> int:
    if "data.batch_size" in values:
        return values["data.batch_size"]
    return max(1, int(values["data.batch_tokens"] / max(lengths.source, lengths.target)))


def decisive(values: dict[str, int], need: Callable[[dict[str, int]], float], limit: float) -> list[str]:
    """Return the fewest keys, the most decisive first, of which small values would bring the need below the limit.

    Args:
        values: numbers by key.
        need: what they take.
        limit: what there is.
    """
    named: list[str] = []
    while len(named) < len(values) and (not named or need(values | dict.fromkeys(named, 1)) > limit):
        others = [key for key in values if key not in named]
        named.append(min(others, key=lambda key: need(values | dict.fromkeys([*named, key], 1))))
    return named


def _require_memory(
    values: dict[str, int], need: Callable[[dict[str, int]], dict[str, float]], memory: int | None, where: str
) -> None:
    parts = need(values)
    total = sum(parts.values())
    if memory is None or total <= _SLACK * memory:
        return
    keys = decisive(values, lambda changed: sum(need(changed).values()), memory)
    what, largest = max(parts.items(), key=lambda part: part[1])
    raise Refused(
        f"{', '.join(f'{key}={values[key]}' for key in keys)}: this run needs about {byte_size(total)} of memory, "
        f"{byte_size(largest)} of it for {what}, and {where} has {byte_size(memory)}; lower {' or '.join(keys)}"
    )


def _require_corpus(config: RunConfig) -> None:
    data: Any = config.data
    if not isinstance(data, LocaleConfig | ReverseConfig | RecallConfig):
        return
    splits = {f"data.{key}": getattr(data, key) for key in ("train_size", "val_size", "test_size")}
    total = sum(splits.values())
    if isinstance(data, LocaleConfig) and total > _MOST_PHRASES:
        raise Refused(
            f"{', '.join(f'{key}={size}' for key, size in splits.items())}: these are {total} phrases, and they are made "
            f"one by one, about {_PHRASES_A_SECOND} a second; valid: at most {_MOST_PHRASES} together"
        )
    if isinstance(data, ReverseConfig) and (strings := _strings(data, total)) < total:
        raise Refused(
            f"{', '.join(f'{key}={size}' for key, size in splits.items())}: these are {total} strings, and with "
            f"data.symbols={data.symbols}, data.min_symbols={data.min_symbols} and data.max_symbols={data.max_symbols} "
            f"there are only {strings} different ones"
        )
    rows = splits | {f"data.{key}": getattr(data, key) for key in ("length", "max_symbols") if hasattr(data, key)}
    _require_memory(rows, _corpus_bytes, total_memory(), "this machine")


def _corpus_bytes(values: dict[str, int]) -> dict[str, float]:
    rows = sum(size for key, size in values.items() if key.endswith("_size"))
    if "data.length" in values:
        row = _ROW + _SYMBOL * values["data.length"]
    elif "data.max_symbols" in values:  # every length is as likely as any other
        row = _ROW + _LETTER * values["data.max_symbols"] // 2
    else:
        row = _PHRASE
    return {"the rows of its corpus": float(rows * row)}


def _strings(data: ReverseConfig, enough: int) -> int:
    """Return how many different strings there are, or some number beyond ``enough``."""
    count = 0
    for length in range(data.min_symbols, data.max_symbols + 1):
        # No power of thousands of digits: that would take memory itself.
        count += data.symbols ** min(length, enough.bit_length())
        if count > enough:
            break
    return count


def _keeps_maps(config: RunConfig) -> bool:
    """Return whether training holds the attention weights of a whole batch."""
    score: type[ScoreFunction] = load_score(config.attention.score)
    return score.holds_weights("cuda" if _on_gpu(config) else "cpu", config.attention.dropout)


def _on_gpu(config: RunConfig) -> bool:
    return config.trainer.accelerator != "cpu" and torch.cuda.is_available()


def _memory(config: RunConfig) -> tuple[int | None, str]:
    """Return the bytes that the model can have, and of what."""
    if _on_gpu(config):
        return torch.cuda.get_device_properties(0).total_memory, "the GPU"
    return total_memory(), "this machine"
