"""Words hidden: what a model that has read a sentence predicts where nobody may attend to some of its words.

Attention to the tokens of the words is off in every layer and head whose keys are of the sequence that holds them; the tokens
stay where they are, so that positions do not change. In an encoder-decoder the words are then out of reach for whatever is
written. A decoder's own stream at a hidden token still holds that token: what it predicts there alone still knows the word.
"""

import inspect
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from attncompare.attention import Attention, combine
from attncompare.data.tokenizer import Tokenizer, overlaps
from attncompare.errors import Refused
from attncompare.inference.inside import next_logits
from attncompare.inference.trained import TrainedRun
from attncompare.tasks import Task
from attncompare.text import printable

_FORWARD = inspect.signature(Attention.forward)


@dataclass(frozen=True)
class Prediction:
    """One place at which the model predicts.

    Attributes:
        token: what stands there: the next token of the text, or of the translation that the whole sentence gets.
        before: its log-probability (nats).
        after: that with the words hidden.
        likeliest: the likeliest token before.
        likeliest_after: that with the words hidden.
    """

    token: str
    before: float
    after: float
    likeliest: str
    likeliest_after: str


@dataclass(frozen=True)
class Hidden:
    """What hiding words of a sentence changes.

    Attributes:
        sentence: the text.
        hidden: the tokens that were hidden.
        predictions: place by place.
        written, written_after: the translations, if the run translates.
    """

    sentence: str
    hidden: tuple[str, ...]
    predictions: tuple[Prediction, ...]
    written: str | None
    written_after: str | None

    @property
    def loss(self) -> tuple[float, float]:
        """The mean cross-entropy (nats per token) before and after."""
        count = max(1, len(self.predictions))
        return -sum(one.before for one in self.predictions) / count, -sum(one.after for one in self.predictions) / count


def hide_words(trained: TrainedRun, sentence: str, words: str) -> Hidden:
    """Return what a run predicts for ``sentence`` with and without attention to ``words``, which spaces separate.

    Raises:
        Refused: if a word does not stand in the sentence, the sentence cannot be read, the model has no attention, or the run
            does not predict tokens one after the other.
    """
    task = trained.task
    probe = trained.probe(sentence)
    ids: Any  # of sound and images no tokens, but these models predict none
    side, ids = ("target", probe.target_ids[:-1]) if probe.source_ids is None else ("source", probe.source_ids)
    sites = [name for name, site in task.sites.items() if site.keys == side]
    if not sites:
        raise Refused(f"{trained.run.path}: the model has no attention to the sentence, so nothing can be hidden")
    start = 1 if side == "target" else 0  # BOS
    places = [start + place for place in _places(trained.source_tokenizer, sentence, words)]
    visible_S = torch.ones(len(ids), dtype=torch.bool)
    visible_S[places] = False

    def log_probabilities() -> Tensor:
        with next_logits(task, probe) as logits:
            task.probe_weights(None if probe.source_ids is None else ids, probe.target_ids)
        if not logits:
            raise Refused(
                f"{trained.run.path}: a run of task={trained.run.config.task.name}, which predicts no next token"
            )
        return logits[-1].log_softmax(-1)

    before_TV = log_probabilities()
    written = written_after = None
    with keys_hidden(task, sites, visible_S):
        after_TV = log_probabilities()
        if task.can("translate"):
            written_after = trained.translate([sentence])[0].text
    if task.can("translate"):
        written = trained.translate([sentence])[0].text
    next_T = torch.tensor(probe.target_ids[1:])
    label = trained.tokenizer.labels
    columns = (
        label(next_T.tolist()),
        *(one_TV.gather(1, next_T[:, None])[:, 0].tolist() for one_TV in (before_TV, after_TV)),
        *(label(one_TV.argmax(-1).tolist()) for one_TV in (before_TV, after_TV)),
    )
    tokens = trained.source_tokenizer.labels(ids, sentence)
    predictions = tuple(Prediction(*row) for row in zip(*columns, strict=True))
    return Hidden(sentence, tuple(tokens[place] for place in places), predictions, written, written_after)


def _places(tokenizer: Tokenizer, sentence: str, words: str) -> list[int]:
    """Return the places of the tokens of ``words``, wherever they stand in the sentence."""
    spans = []
    for word in words.split():
        found = [one.span() for one in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", sentence)]
        if not found:
            raise Refused(f"mask={word}: stands nowhere in the sentence; valid: words of '{sentence}'")
        spans += found
    if not spans:
        raise Refused("mask: names no word; valid: words of the sentence, with spaces between them")
    offsets = tokenizer.encode(sentence).offsets
    return [place for place, offset in enumerate(offsets) if any(overlaps(sentence, offset, *span) for span in spans)]


@contextmanager
def keys_hidden(task: Task, sites: Sequence[str], visible_S: Tensor) -> Iterator[None]:
    """Let no query of these sites attend to the keys where ``visible_S`` is False, for a while."""

    def hiding(_: Any, args: Any, kwargs: Any) -> tuple[tuple[()], dict[str, Any]]:
        given = _FORWARD.bind(None, *args, **kwargs).arguments
        del given["self"]
        memory, cache = given.get("memory_BSD"), given.get("cache")
        keys = given["query_BTD"].shape[1] + (cache.seen if cache else 0) if memory is None else memory.shape[1]
        given["may_attend"] = combine(given.get("may_attend"), visible_S[None, :keys].to(given["query_BTD"].device))
        return (), dict(given)

    handles = [
        module.register_forward_pre_hook(hiding, with_kwargs=True) for name in sites for module in task.attentions[name]
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def hidden_table(found: Hidden) -> Table:
    """Return the predictions as a table; bold where another token has become the likeliest."""
    table = Table(box=None, header_style="bold")
    for title in ("next token", "probability", "hidden", "likeliest", "likeliest hidden"):
        table.add_column(title, justify="right" if title in ("probability", "hidden") else "left")
    for one in found.predictions:
        tokens = (printable(text) for text in (one.token, one.likeliest, one.likeliest_after))
        token, likeliest, after = map(escape, tokens)
        style = "bold" if one.likeliest != one.likeliest_after else ""
        figures = (f"{math.exp(value):.3f}" for value in (one.before, one.after))
        table.add_row(token, *figures, likeliest, after, style=style)
    return table
