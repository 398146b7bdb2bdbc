"""``attncompare bench decode``: beam search against Hugging Face's, and what the cache of keys and values is worth."""

import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from attncompare.bench.command import Say
from attncompare.bench.contender import Contender
from attncompare.bench.devices import use
from attncompare.bench.facts import machine_facts
from attncompare.bench.fixed_lengths import Recomputing, WithFixedLengths
from attncompare.bench.options import Length, Options, data_words
from attncompare.bench.peers.marian import Marian
from attncompare.bench.peers.sizes import Sizes, require_equal_size
from attncompare.bench.report import Column, Line, Picture, Report, Row, Table, Value
from attncompare.bench.rounds import Measured, Timed, measure
from attncompare.bench.spread import spread
from attncompare.bench.trainings import TINY, translation
from attncompare.config import RunConfig
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import BOS, EOS, PAD
from attncompare.decoding import greedy, translate_all
from attncompare.decoding.translating import batches_by_length
from attncompare.errors import RunFailed
from attncompare.model.cost import parameter_count
from attncompare.model.initialize import initialize
from attncompare.attention.kernels.heap import keep_freed_memory
from attncompare.tasks import build_task

_BEAM = 5
_OURS, _MARIAN = "attncompare", "Hugging Face MarianMTModel.generate"
_CACHED, _AGAIN = "with the cache", "reading everything again at each step"
_RANDOM = (
    "Weights are random, so lengths are fixed: a translation ends when it is as long as its source, and not before, for "
    "both. So both decode the same tokens; that was checked."
)


@dataclass(frozen=True)
class DecodeOptions:
    """What ``bench decode`` can be told: the folder of Multi30k."""

    data_path: Path | None


def bench_decode(options: Options, say: Say, chosen: DecodeOptions) -> Report:
    """Measure both.

    Raises:
        Refused: if there is no such device or data.
        RunFailed: if Marian is not of equal size, or somebody decodes other lengths.
    """
    wait = use(options)
    keep_freed_memory()  # as the commands that decode do; it serves Marian, too
    device = torch.device(options.device)
    with tempfile.TemporaryDirectory(prefix="attncompare-bench-") as folder:
        sizes = (*TINY, "data.batch_tokens=null", "data.tokenizer.vocab_size=null") if options.quick else ()
        pairs = 60 if options.quick else None
        config = translation(Path(folder), options.device, chosen.data_path, sizes, pairs=pairs)
        data = DataModule(config)
        say("data")
        data.prepare()
    say(f"beam search, width {_BEAM}")
    tables = [_beam_table(options, config, data, device, wait, generated=chosen.data_path is None)]
    say("cache")
    tables.append(_cache_table(options, config, data, device, wait))
    settings = {"data_path": None if chosen.data_path is None else str(chosen.data_path)}
    title = " ".join(["attncompare bench decode", *data_words(chosen.data_path), *options.words])
    return Report(title, machine_facts(options.device), settings, tables)


def _beam_table(
    options: Options,
    config: RunConfig,
    data: DataModule,
    device: torch.device,
    wait: Callable[[], None],
    *,
    generated: bool,
) -> Table:
    batches = _batches(data)
    ours = _fixed(config, data, device)
    counts = {_OURS: parameter_count(ours)}

    def translate(batch: list[list[int]]) -> list[int]:
        longest = max(map(len, batch)) + 1
        found = translate_all(ours, batch, bos=BOS, eos=EOS, max_length=longest, beam=_BEAM)
        return [len(best.ids) for best, *_ in found]

    def marian() -> Callable[[], None]:
        torch.manual_seed(config.seed)
        model = Marian(Sizes.of(config, data.tokenizer.vocab_size)).to(device).eval()
        require_equal_size(ours, {_MARIAN: model})
        counts[_MARIAN] = parameter_count(model)
        return _in_turn(batches, lambda batch: model.translated_lengths(_padded(batch).to(device), _BEAM))

    contenders = [Contender(_OURS, lambda: _in_turn(batches, translate)), Contender(_MARIAN, marian)]
    rounds = options.rounds or (2 if options.quick else len(batches))
    found = measure(contenders, Length(rounds, 0.0, 0.0), wait)
    done = [batches[(2 + number) % len(batches)] for number in range(rounds)]  # the first two warmed up

    def values(name: str, timed: Timed) -> dict[str, Value]:
        return {
            "parameters": counts[name],
            "sentences": spread([len(batch) / s for batch, s in zip(done, timed.seconds, strict=True)]),
            "tokens": spread([sum(map(len, batch)) / s for batch, s in zip(done, timed.seconds, strict=True)]),
            "lead": found.timed[_OURS].faster_than(timed),
        }

    columns = (
        Column("parameters", "parameters", "number"),
        Column("sentences", "sentences", "rate"),
        Column("tokens", "tokens", "rate"),
        Column("lead", f"{_OURS} is faster", "ratio"),
    )
    whose = (
        "generated sentences as long as those of Multi30k (--data-path FOLDER takes them)" if generated else "Multi30k"
    )
    size = f"{sum(map(len, batches)):,} sentences of test in batches of like lengths, the same for both"
    notes = (f"{whose[0].upper()}{whose[1:]}: {size}; a round is a batch.", _RANDOM)
    return _table(
        f"Beam search, width {_BEAM}, Transformer-Tiny, fp32", columns, (_OURS, _MARIAN), found, values, notes
    )


def _cache_table(
    options: Options, config: RunConfig, data: DataModule, device: torch.device, wait: Callable[[], None]
) -> Table:
    rows, tokens = (2, 4) if options.quick else (64, 60)
    generator = torch.Generator().manual_seed(config.seed)
    source_BS = torch.randint(EOS + 1, data.tokenizer.vocab_size, (rows, 15), generator=generator).to(device)
    task = build_task(config, data.tokenizer)
    model = Recomputing(task.model_size(), task.make_attention, PAD).to(device).eval()
    initialize(model, config.seed)
    # No id is EOS here: every translation is as long as it may be.
    if not torch.equal(greedy(model, source_BS, BOS, -1, tokens), model.greedy(source_BS, tokens)):
        raise RunFailed("with and without the cache other tokens come out")
    contenders = [
        Contender(_CACHED, lambda: lambda: greedy(model, source_BS, BOS, -1, tokens)),
        Contender(_AGAIN, lambda: lambda: model.greedy(source_BS, tokens)),
    ]
    found = measure(contenders, Length(options.rounds or (2 if options.quick else 5), 0.0, 0.0), wait)

    def values(_: str, timed: Timed) -> dict[str, Value]:
        return {"seconds": timed.spread, "lead": found.timed[_CACHED].faster_than(timed)}

    columns = (Column("seconds", "time", "seconds"), Column("lead", "the cache is faster", "ratio"))
    notes = (f"{rows} sentences, {tokens} tokens each; the same tokens come out, which was checked.",)
    return _table("Greedy search with and without the cache", columns, (_CACHED, _AGAIN), found, values, notes)


def _table(
    title: str,
    columns: tuple[Column, ...],
    names: Sequence[str],
    found: Measured,
    values: Callable[[str, Timed], dict[str, Value]],
    notes: tuple[str, ...],
) -> Table:
    rows = tuple(
        Row((name,), values(name, found.timed[name]) if name in found.timed else {}, found.left_out.get(name, ""))
        for name in names
    )
    measured = [row for row in rows if row.values]
    leads = tuple(row.values["lead"] for row in measured)
    picture = Picture(title, "", columns[-1].title, tuple(row.label[0] for row in measured), (Line("times", leads),))
    return Table(title, ("search",), columns, rows, notes, (picture,))


def _fixed(config: RunConfig, data: DataModule, device: torch.device) -> WithFixedLengths:
    task = build_task(config, data.tokenizer)
    model = WithFixedLengths(task.model_size(), task.make_attention, PAD).to(device).eval()
    initialize(model, config.seed)
    return model


def _batches(data: DataModule) -> list[list[list[int]]]:
    """Return the source sentences of test in batches of like lengths."""
    rows = [ids[ids != PAD].tolist() for batch in data.test_dataloader() for ids in batch.source_BS]
    return [[rows[number] for number in batch] for batch in batches_by_length([len(ids) for ids in rows], _BEAM)]


def _padded(batch: list[list[int]]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in batch], batch_first=True, padding_value=PAD)


def _in_turn(batches: list[list[list[int]]], lengths_of: Callable[[list[list[int]]], list[int]]) -> Callable[[], None]:
    """Return what decodes the next batch and sees to its lengths, which cost next to nothing to compare."""
    turns = itertools.cycle(batches)

    def work() -> None:
        batch = next(turns)
        if lengths_of(batch) != [len(ids) for ids in batch]:
            raise RunFailed("a translation is not as long as its source")

    return work
