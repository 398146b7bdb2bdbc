"""The metrics of the built-in tasks: each declares how it is called, written and judged, and sums what each test item adds.

All are :class:`torchmetrics.Metric`; BLEU, chrF and TER are counted by sacrebleu, edits by jiwer. A metric of another
package derives from :class:`Metric` and is found through the entry points ``attncompare.metrics``.
"""

import math
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from inspect import Parameter, signature
from itertools import zip_longest
from typing import Any, ClassVar

import jiwer
import numpy as np
import torch
import torchmetrics
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF, TER
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error, multiclass_f1_score
from torchmetrics.functional.text.rouge import rouge_score

from attncompare import registry
from attncompare.config import RunConfig
from attncompare.errors import Refused

Sums = NDArray[np.float64]


class Metric(torchmetrics.Metric):
    """A figure of an evaluation that follows from sums over its items: sentence pairs, documents or rows.

    A subclass sets the attributes, and defines ``update`` and ``value``. ``update`` is called for each batch with those
    of these arguments that it names. Of each scored token: ``nats_N`` (its cross-entropy), ``correct_N`` (bool: was it the
    likeliest), ``bytes_N`` (int: the UTF-8 bytes of text that it stands for), ``items_N`` (int: its item, from 0). Of each
    token that is masked alone: ``pseudo_nats_N`` and ``pseudo_items_N``, likewise. Of each
    decoded sentence: ``hypotheses`` and ``references`` (texts), ``sentence_items`` (its item), and, by default None,
    ``all_references`` (the texts of each sentence's references, the one above among them). Of each token with a gold
    alignment: ``aligned_NH`` (bool: does each head look there), ``aligned_items_N`` (int: its item). Of each labelled item,
    ``correct_N`` and ``items_N``, ``labels_N`` (int: its label, from 0) and ``probabilities_NC`` (of each label).

    Attributes:
        name: key in ``metrics.csv`` (behind the split: ``val/bleu``), in ``summary.json`` and in W&B.
        title: what it is called in a sentence.
        short: heading of a column, at most two lines.
        unit: ``"%"`` for shares of 1 that are written in percent, empty for pure numbers.
        higher_is_better: which way is better.
        digits: behind the point.
        in_table: whether tables of a comparison show it.
        tested: whether a comparison gives verdicts in it.
        judges: whether one way is better. Where not, verdicts say which is higher, and ``higher_is_better`` is True.
        unless: metrics that say more: where the task has one of them, this one is neither in tables nor tested.
        per_token: whether it depends on how text is cut into tokens, so that it cannot be compared between tokenizers.
        bounds: the least and the largest possible value; None: unbounded.
        sums: the names of the sums that ``value`` needs; empty where items make no sense.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    short: ClassVar[str]
    unit: ClassVar[str] = ""
    higher_is_better: bool  # torchmetrics declares it as an attribute of instances
    digits: ClassVar[int] = 2
    in_table: ClassVar[bool] = True
    tested: ClassVar[bool] = True
    judges: ClassVar[bool] = True
    unless: ClassVar[tuple[str, ...]] = ()
    per_token: ClassVar[bool] = False
    bounds: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    sums: ClassVar[tuple[str, ...]] = ()
    seen: Tensor

    is_differentiable = False
    full_state_update = True

    def __init__(self) -> None:
        super().__init__(sync_on_compute=False)  # every process evaluates everything
        for state in ("seen", *self.sums):
            self.add_state(state, torch.zeros(0, dtype=torch.float64), dist_reduce_fx="sum")

    @classmethod
    def of(cls, config: RunConfig) -> "Metric":  # noqa: ARG003
        """Return a new metric with the settings of a run."""
        return cls()

    @classmethod
    def fits(cls, config: RunConfig) -> bool:  # noqa: ARG003
        """Return whether a run has what it measures; where not, the run goes without it."""
        return True

    @classmethod
    def needs(cls) -> list[str]:
        """Return the arguments that ``update`` asks for, which a task has to give."""
        plain = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        asked = list(signature(cls.update).parameters.values())[1:]
        return [one.name for one in asked if one.kind in plain and one.default is Parameter.empty]

    @classmethod
    def value(cls, sums: Sums) -> Sums:  # noqa: ARG003
        """Return the figure (...) of ``sums`` (..., len(cls.sums)), each summed over the items of a test set."""
        raise Refused(f"metric '{cls.name}': the class {cls.__name__} must define the method value")

    @classmethod
    def scale(cls) -> float:
        """Return by what a value is multiplied where people read it."""
        return 100.0 if cls.unit == "%" else 1.0

    @classmethod
    def format(cls, value: float | None) -> str:
        """Write ``value`` for people, without the unit; an absent one is a dash."""
        return "–" if value is None else f"{round(value * cls.scale(), cls.digits) + 0.0:.{cls.digits}f}"  # no -0.00

    @classmethod
    def words(cls) -> tuple[str, str]:
        """Return what the variant that is ahead is called, and the other one: "better", "worse"."""
        return ("better", "worse") if cls.judges else ("higher", "lower")

    @classmethod
    def describe(cls) -> str:
        """Return the title with the unit, as an axis says it."""
        return f"{cls.title} ({cls.unit})" if cls.unit else cls.title

    @classmethod
    def measure(cls) -> str:
        """Return what a difference is counted in: "BLEU", "nats per token", "points of exact match"."""
        return f"points of {cls.title}" if cls.unit == "%" else cls.unit or cls.title

    def signature(self) -> str | None:
        """Return how it was computed, for metrics that have a signature."""
        return None

    def add(self, items: Tensor, *columns: Any) -> None:
        """Add to the sums of some items.

        Args:
            items: the item of each row, int64 (N,); an item may come again.
            columns: what each row adds to each of ``sums``, (N,) each.
        """
        items = items.cpu()  # sums by index have no fixed order on a GPU
        for state, column in zip(("seen", *self.sums), (torch.ones_like(items), *columns), strict=True):
            # Numbers of Python would become float32. Without items, bincount forgets the type of its weights.
            values = column if isinstance(column, Tensor) else torch.tensor(column, dtype=torch.float64)
            added = torch.bincount(items, weights=values.cpu().double()).double()
            before = getattr(self, state).cpu()
            total = added.new_zeros(max(len(before), len(added)))
            total[: len(before)] += before
            total[: len(added)] += added
            setattr(self, state, total)

    def compute(self) -> Tensor:
        """Return the figure over all items, float64; NaN where there is none."""
        total = np.array([float(getattr(self, state).sum()) for state in self.sums])
        with np.errstate(divide="ignore", invalid="ignore"):
            return torch.as_tensor(float(self.value(total)), dtype=torch.float64)

    def item_sums(self) -> dict[int, list[float]]:
        """Return the sums of each item, in the order of ``sums``; whole numbers as integers."""
        if not self.sums:
            return {}
        items = self.seen.nonzero().flatten().tolist()
        columns = [getattr(self, state)[items].tolist() for state in self.sums]
        rows = zip(*columns, strict=True)
        return {
            item: [int(one) if one.is_integer() else one for one in row] for item, row in zip(items, rows, strict=True)
        }


class Ratio(Metric):
    """A metric whose value is the first of its two sums over the second."""

    @classmethod
    def value(cls, sums: Sums) -> Sums:
        """Return the first sum over the second."""
        return _ratio(sums)


class Loss(Ratio):
    """Cross-entropy in nats a token, a mean over all tokens of the evaluation."""

    name = "loss"
    title, short, unit, digits = "loss", "loss\nnats", "nats per token", 4
    higher_is_better, per_token = False, True
    sums = ("nats", "tokens")

    def update(self, nats_N: Tensor, items_N: Tensor) -> None:
        """Add N tokens."""
        self.add(items_N, nats_N, torch.ones_like(items_N))


class Perplexity(Loss):
    """e to the loss; infinite where that is beyond floating point."""

    name = "perplexity"
    title, short, unit, digits = "perplexity", "perplexity", "", 2
    in_table, tested = False, False
    bounds = (1.0, None)

    @classmethod
    def value(cls, sums: Sums) -> Sums:
        """Return e to the nats over tokens."""
        loss = _ratio(sums)
        return np.where(loss > 700, math.inf, np.exp(np.minimum(loss, 700)))


class PseudoPerplexity(Perplexity):
    """e to the mean of ``-log P(token | all others)`` over the tokens of some rows (Salazar et al. 2020, equation 2)."""

    name = "pseudo_perplexity"
    title, short = "pseudo-perplexity", "pseudo-\nperplexity"
    in_table, tested = True, True

    def update(self, pseudo_nats_N: Tensor, pseudo_items_N: Tensor) -> None:
        """Add N tokens, each predicted from all others of its row."""
        super().update(pseudo_nats_N, pseudo_items_N)


class BitsPerByte(Metric):
    """Cross-entropy in bits a byte of text, which does not depend on the tokenizer.

    It is not tested: on the same tokens it is the loss in another unit.
    """

    name = "bits_per_byte"
    title, short, digits = "bits per byte", "bits/\nbyte", 4
    higher_is_better, tested = False, False
    sums = ("nats", "bytes")

    def update(self, nats_N: Tensor, bytes_N: Tensor, items_N: Tensor) -> None:
        """Add N tokens."""
        self.add(items_N, nats_N, bytes_N)

    @classmethod
    def value(cls, sums: Sums) -> Sums:
        """Return nats over bytes, in bits."""
        return _ratio(sums) / math.log(2)


class TokenAccuracy(Ratio):
    """Share of tokens that were the likeliest."""

    name = "token_accuracy"
    title, short, unit, digits = "token accuracy", "token\nacc. %", "%", 1
    higher_is_better, per_token = True, True
    unless = ("exact_match",)
    bounds = (0.0, 1.0)
    sums = ("correct", "tokens")

    def update(self, correct_N: Tensor, items_N: Tensor) -> None:
        """Add N tokens."""
        self.add(items_N, correct_N, torch.ones_like(items_N))


class Accuracy(Ratio):
    """Share of items whose label was the likeliest."""

    name = "accuracy"
    title, short, unit, digits = "accuracy", "accu-\nracy %", "%", 1
    higher_is_better = True
    bounds = (0.0, 1.0)
    sums = ("correct", "items")

    def update(self, correct_N: Tensor, items_N: Tensor) -> None:
        """Add N items."""
        self.add(items_N, correct_N, torch.ones_like(items_N))


class OfLabels(Metric):
    """A figure of all items together, computed by torchmetrics from the probability of each label; it has no sums."""

    probabilities: list[Tensor]
    labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("probabilities", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, probabilities_NC: Tensor, labels_N: Tensor) -> None:
        """Add N items."""
        self.probabilities.append(probabilities_NC.double().cpu())
        self.labels.append(labels_N.cpu())

    def compute(self) -> Tensor:
        """Return the figure, float64; NaN where there is no item."""
        if not self.labels:
            return torch.tensor(math.nan, dtype=torch.float64)
        probabilities_NC = torch.cat(self.probabilities)
        return self.figure(probabilities_NC, torch.cat(self.labels)).double()

    def figure(self, probabilities_NC: Tensor, labels_N: Tensor) -> Tensor:
        """Return the figure of all items."""
        raise NotImplementedError


class MacroF1(OfLabels):
    """The harmonic mean of precision and recall of each label, a mean over labels, rare ones as much as common ones."""

    name = "macro_f1"
    title, short, unit, digits = "macro F1", "macro\nF1 %", "%", 1
    higher_is_better = True
    bounds = (0.0, 1.0)

    def figure(self, probabilities_NC: Tensor, labels_N: Tensor) -> Tensor:
        """Return it over the labels that are there, or were said to be."""
        return multiclass_f1_score(probabilities_NC, labels_N, probabilities_NC.shape[1], average="macro")


class CalibrationError(OfLabels):
    """How far the probability of the likeliest label is from how often it is right: the expected calibration error.

    A mean over 15 bins of equal width, weighted by their items (Guo et al. 2017, equation 3).
    """

    name = "calibration_error"
    title, short, unit, digits = "calibration error", "calib.\nerror %", "%", 1
    higher_is_better = False
    bounds = (0.0, 1.0)

    def figure(self, probabilities_NC: Tensor, labels_N: Tensor) -> Tensor:
        """Return it over all items."""
        return multiclass_calibration_error(probabilities_NC, labels_N, probabilities_NC.shape[1], n_bins=15)


class ExactMatch(Ratio):
    """Share of sentences that equal their reference, or one of them."""

    name = "exact_match"
    title, short, unit, digits = "exact match", "exact\nmatch %", "%", 1
    higher_is_better = True
    bounds = (0.0, 1.0)
    sums = ("equal", "sentences")

    def update(
        self,
        hypotheses: Sequence[str],
        references: Sequence[str],
        sentence_items: Sequence[int],
        all_references: Sequence[Sequence[str]] | None = None,
    ) -> None:
        """Add sentences."""
        several = all_references or [[reference] for reference in references]
        equal = [one in others for one, others in zip(hypotheses, several, strict=True)]
        self.add(torch.tensor(sentence_items, dtype=torch.int64), equal, [1] * len(equal))


class Sacrebleu(Metric):
    """A metric over sentences whose statistics sacrebleu counts (Post 2018)."""

    def __init__(self, scorer: Any) -> None:
        super().__init__()
        self.scorer = scorer
        self._counts: set[int] = set()

    def update(
        self,
        hypotheses: Sequence[str],
        references: Sequence[str],
        sentence_items: Sequence[int],
        all_references: Sequence[Sequence[str]] | None = None,
    ) -> None:
        """Add sentences, each with one reference or several."""
        if hypotheses:
            several = all_references or [[reference] for reference in references]
            self._counts |= set(map(len, several))
            # sacrebleu wants one stream for each number of a reference, None where a sentence has fewer.
            rows = self.scorer._extract_corpus_statistics(hypotheses, list(zip_longest(*several)))
            self.add(torch.tensor(sentence_items, dtype=torch.int64), *zip(*rows, strict=True))

    def reset(self) -> None:
        """Begin anew."""
        super().reset()
        self._counts = set()

    def signature(self) -> str:
        """Return sacrebleu's signature."""
        self.scorer.num_refs = -1 if len(self._counts) > 1 else next(iter(self._counts), 1)  # -1: they vary
        return str(self.scorer.get_signature())


# Languages that put no spaces between words, with the way in which sacrebleu cuts them: by characters where it knows no words.
_UNSPACED = {
    **dict.fromkeys(("zh", "zho", "chi", "cmn", "yue"), "zh"),
    **dict.fromkeys(("ja", "jpn", "th", "tha", "lo", "lao", "km", "khm", "my", "mya"), "char"),
}


class Bleu(Sacrebleu):
    """BLEU (Papineni et al. 2002) in percent, smoothed as sacrebleu does by default (exp).

    Args:
        tokenize: how sacrebleu cuts text into words; ``none`` where the text is cut already.
        lowercase: whether case is ignored.
    """

    name = "bleu"
    title = short = "BLEU"
    higher_is_better = True
    bounds = (0.0, 100.0)
    sums = ("sys_len", "ref_len", *(f"match_{n}" for n in range(1, 5)), *(f"total_{n}" for n in range(1, 5)))

    def __init__(self, tokenize: str = "13a", lowercase: bool = False) -> None:
        if tokenize == "ja-mecab" and find_spec("MeCab") is None:
            raise Refused(
                "task.bleu_tokenize=ja-mecab: needs sacrebleu's extra: pip install 'attncompare[ja]'; or choose char"
            )
        # Forced where sacrebleu would warn that the text seems to be cut already: that is what "none" says.
        super().__init__(BLEU(tokenize=tokenize, lowercase=lowercase, force=tokenize == "none"))

    @classmethod
    def of(cls, config: RunConfig) -> "Bleu":
        """Return BLEU as the run's task cuts text."""
        task: Any = config.task
        return cls(_bleu_tokenize(config), task.bleu_lowercase)

    @classmethod
    def value(cls, sums: Sums) -> Sums:
        """Return BLEU of the lengths, the matches and the n-grams for n = 1 to 4."""
        length, reference, matches, totals = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:10]
        # An order without a match counts as half a match, the next such order as a quarter, and so on.
        halvings = np.cumsum((matches == 0) & (totals > 0), axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(np.where(matches > 0, matches, 0.5**halvings) / totals)
            score = 100 * np.exp(np.minimum(0.0, 1 - reference / length) + logs.mean(-1))
        # Without any 4-gram, or without any match, it is 0.
        return np.where((totals[..., -1] > 0) & (matches.sum(-1) > 0), score, 0.0)


class ChrF(Sacrebleu):
    """chrF2 (Popović 2015) in percent, with sacrebleu's defaults."""

    name = "chrf"
    title = short = "chrF"
    higher_is_better = True
    bounds = (0.0, 100.0)
    sums = tuple(f"{side}_{n}" for n in range(1, 7) for side in ("sys", "ref", "match"))

    def __init__(self) -> None:
        super().__init__(CHRF())

    @classmethod
    def value(cls, sums: Sums) -> Sums:
        """Return the F-score of the mean precision and the mean recall over n-grams of characters, n = 1 to 6."""
        hypothesis, reference, matches = (sums[..., column::3] for column in range(3))
        counted = (hypothesis > 0) & (reference > 0)
        orders = np.maximum(counted.sum(-1), 1)
        precision = (np.where(counted, matches, 0) / np.where(counted, hypothesis, 1)).sum(-1) / orders
        recall = (np.where(counted, matches, 0) / np.where(counted, reference, 1)).sum(-1) / orders
        below = 4 * precision + recall
        return np.asarray(500 * precision * recall / np.where(below > 0, below, 1))


class Ter(Sacrebleu):
    """TER (Snover et al. 2006) in percent, with sacrebleu's defaults."""

    name = "ter"
    title = short = "TER"
    higher_is_better = False
    in_table, tested = False, False
    sums = ("edits", "ref_words")

    def __init__(self) -> None:
        super().__init__(TER())

    @classmethod
    def value(cls, sums: Sums) -> Sums:
        """Return edits over words of the reference; without such words 100 where there were edits."""
        edits, words = sums[..., 0], sums[..., 1]
        return np.asarray(100 * np.where(words > 0, edits / np.where(words > 0, words, 1), edits > 0))


class EditRate(Ratio):
    """Edits that turn what was written into the reference, over the length of the reference; counted by jiwer.

    Edits are insertions, deletions and substitutions, as few as will do (Levenshtein 1966).
    """

    unit, digits, higher_is_better = "%", 1, False

    def update(self, hypotheses: Sequence[str], references: Sequence[str], sentence_items: Sequence[int]) -> None:
        """Add sentences."""
        counts = [self.count(*pair) for pair in zip(references, hypotheses, strict=True)]
        edits = [one.substitutions + one.deletions + one.insertions for one in counts]
        sizes = [one.hits + one.substitutions + one.deletions for one in counts]
        self.add(torch.tensor(sentence_items, dtype=torch.int64), edits, sizes)

    @staticmethod
    def count(reference: str, hypothesis: str) -> Any:
        """Return what jiwer counts of a sentence."""
        raise NotImplementedError


class CharacterErrorRate(EditRate):
    """Edits of characters, spaces among them, over the characters of the reference."""

    name = "character_error_rate"
    title, short = "character error rate", "char.\nerr. %"
    sums = ("edits", "characters")

    @staticmethod
    def count(reference: str, hypothesis: str) -> Any:
        """Return what jiwer counts of characters."""
        return jiwer.process_characters(reference, hypothesis)


class WordErrorRate(EditRate):
    """Edits of words over the words of the reference; words are what stands between spaces."""

    name = "word_error_rate"
    title, short = "word error rate", "word\nerr. %"
    sums = ("edits", "words")

    @staticmethod
    def count(reference: str, hypothesis: str) -> Any:
        """Return what jiwer counts of words."""
        return jiwer.process_words(reference, hypothesis)


class AlignmentError(Ratio):
    """Share of tokens whose largest cross-attention weight lies outside of the gold alignment, in the head that aligns best.

    It is the alignment error rate of Och and Ney 2003 (section 3) where one link is made for each token, all gold links
    are possible ones and none is sure: ``1 - |A & P| / |A|``. The links are those of one head of one layer, that with the
    least error over the whole evaluation, as heads differ in what they look for (Raganato and Tiedemann 2018, section 5). The
    best of many heads is lower by chance alone than the best of few. Tokens without a gold link do not count.
    """

    name = "alignment_error"
    title, short, unit, digits = "alignment error", "align.\nerr. %", "%", 1
    higher_is_better = False
    bounds = (0.0, 1.0)
    sums = ("outside", "tokens")

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[tuple[Tensor, Tensor]] = []

    @classmethod
    def fits(cls, config: RunConfig) -> bool:
        """Return whether the dataset knows gold alignments."""
        return bool(registry.load("datasets", config.data.name).aligned)

    def update(self, aligned_NH: Tensor, aligned_items_N: Tensor) -> None:
        """Add N tokens with a gold alignment: whether each head's largest weight lies in it, and the item of each."""
        self._seen.append((aligned_NH.cpu(), aligned_items_N.cpu()))

    def reset(self) -> None:
        """Begin anew."""
        super().reset()
        self._seen = []

    def compute(self) -> Tensor:
        """Return the figure over all items."""
        self._choose()
        return super().compute()

    def item_sums(self) -> dict[int, list[float]]:
        """Return the sums of each item."""
        self._choose()
        return super().item_sums()

    def _choose(self) -> None:
        """Fill the sums with what the best head did."""
        for state in ("seen", *self.sums):
            setattr(self, state, torch.zeros(0, dtype=torch.float64))
        if self._seen:
            aligned_NH, items_N = map(torch.cat, zip(*self._seen, strict=True))
            best = int(aligned_NH.sum(0).argmax())
            self.add(items_N, ~aligned_NH[:, best], torch.ones_like(items_N))


class Rouge(Ratio):
    """A ROUGE F-score in percent (Lin 2004), a mean over sentences, as torchmetrics computes it: rouge-score's figures.

    Words are runs of a-z and 0-9 in lower case, so that other scripts have none. Of several references the best one counts.

    Args:
        stemmer: whether words are stemmed first (Porter 1980), as ROUGE-1.5.5's option ``-m`` does; nltk does it.
    """

    higher_is_better = True
    bounds = (0.0, 100.0)
    sums = ("fmeasure", "sentences")

    def __init__(self, stemmer: bool = False) -> None:
        super().__init__()
        if stemmer and find_spec("nltk") is None:
            raise Refused("task.rouge_stemmer=true: needs nltk: pip install 'attncompare[rouge]'; or set it to false")
        self.stemmer = stemmer

    @classmethod
    def of(cls, config: RunConfig) -> "Rouge":
        """Return it with the stemmer that the run's task asks for, if any."""
        return cls(getattr(config.task, "rouge_stemmer", False))

    def update(
        self,
        hypotheses: Sequence[str],
        references: Sequence[str],
        sentence_items: Sequence[int],
        all_references: Sequence[Sequence[str]] | None = None,
    ) -> None:
        """Add sentences, each with one reference or several."""
        key: Any = self.name
        several = all_references or [[reference] for reference in references]
        scores = [
            100 * float(rouge_score(one, [list(others)], use_stemmer=self.stemmer, rouge_keys=key)[f"{key}_fmeasure"])
            for one, others in zip(hypotheses, several, strict=True)
        ]
        self.add(torch.tensor(sentence_items, dtype=torch.int64), scores, [1] * len(scores))

    def signature(self) -> str:
        """Return how it was computed, in sacrebleu's manner."""
        return f"stem:{'yes' if self.stemmer else 'no'}|version:torchmetrics {torchmetrics.__version__}"


class Rouge1(Rouge):
    """Words in common (Lin 2004, section 2)."""

    name = "rouge1"
    title = short = "ROUGE-1"


class Rouge2(Rouge):
    """Pairs of neighbouring words in common (Lin 2004, section 2)."""

    name = "rouge2"
    title = short = "ROUGE-2"


class RougeL(Rouge):
    """The longest common subsequence of words (Lin 2004, section 3.1)."""

    name = "rougeL"
    title = short = "ROUGE-L"


def metric(name: str) -> type[Metric]:
    """Return the metric ``name``: one of this file, or an installed one.

    Raises:
        Refused: if there is none; the message lists the valid names.
    """
    return registry.load("metrics", name)


def metrics_of(config: RunConfig) -> dict[str, type[Metric]]:
    """Return the metrics of a run by name, first the one that tells most of the data, then as the task names them.

    The dataset says which that is, or its language does: where BLEU has to count characters for words, chrF leads. Those that
    do not fit the run are left out.
    """
    leading = registry.load("datasets", config.data.name).leading
    if leading is None and _by_characters(config):
        leading = "chrf"
    found = {name: metric(name) for name in sorted(config.task.metrics, key=lambda name: name != leading)}
    return {name: one for name, one in found.items() if one.fits(config)}


def baselines_said(config: RunConfig, summary: Mapping[str, Any]) -> list[str]:
    """Return what needs no model came to on the test set of a run, in words: "lead-1: ROUGE-1 22.40, ROUGE-2 3.04"."""
    shown = {name: one for name, one in metrics_of(config).items() if one.in_table}
    return [
        f"{baseline}: "
        + ", ".join(f"{one.title} {one.format(found[name])}" for name, one in shown.items() if name in found)
        for baseline, found in (summary.get("baselines") or {}).items()
    ]


def _language(config: RunConfig) -> str:
    """Return the code of the target's language, as far as the data's config says one: "zh" of "translation.zh-CN"."""
    column = str(getattr(config.data, "target", "")).rpartition(".")[2]
    return re.split("[-_]", column)[0].lower()


def _bleu_tokenize(config: RunConfig) -> str:
    task: Any = config.task
    return task.bleu_tokenize or _UNSPACED.get(_language(config), "13a")


def _by_characters(config: RunConfig) -> bool:
    return hasattr(config.task, "bleu_tokenize") and _language(config) in _UNSPACED and _bleu_tokenize(config) == "char"


def _ratio(sums: Sums) -> Sums:
    return np.asarray(sums[..., 0] / sums[..., 1])
