"""A trained run, loaded from its folder: its model, ready for new sentences."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from attncompare.config import RunConfig, parse, with_data
from attncompare.data.module import DataModule, Probe
from attncompare.data.tokenizer import BOS, EOS, Tokenizer
from attncompare.decoding import Hypothesis, require_possible, sample_rows, translate_all
from attncompare.errors import Refused
from attncompare.maps import ProbeMaps, probe_maps
from attncompare.record import (
    AVERAGED_WEIGHTS,
    BEST_WEIGHTS,
    LAST_WEIGHTS,
    WEIGHTS_LIMIT,
    Run,
    require_weights_of,
    weights_from,
)
from attncompare.registry import unknown
from attncompare.tasks import Task, build_task
from attncompare.text import counted
from attncompare.training import evaluate

log = logging.getLogger("attncompare")
CHECKPOINTS = {"best": BEST_WEIGHTS, "last": LAST_WEIGHTS, "averaged": AVERAGED_WEIGHTS}
"""Files of weights by the name that they are asked for: best validation, last step, mean of the last steps."""
BEAM = 5


@dataclass(frozen=True)
class TranslatedText:
    """One translation: its text, its log-probability over its length penalty, the log-probability (nats), its tokens."""

    text: str
    score: float
    log_probability: float
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Translated:
    """A sentence and its translations, best first.

    ``cut`` says that only its first ``task.max_length - 1`` tokens were read, as in training. An empty sentence has one
    translation, which is empty.
    """

    source: str
    source_ids: tuple[int, ...]
    cut: bool
    hypotheses: tuple[TranslatedText, ...]

    @property
    def text(self) -> str:
        """The best translation."""
        return self.hypotheses[0].text

    @property
    def score(self) -> float:
        """Its score."""
        return self.hypotheses[0].score


class TrainedRun:
    """The model of a finished run: ``task`` is its LightningModule, in evaluation mode.

    ``checkpoint`` is a name of :data:`CHECKPOINTS`; None: the weights that it was tested with.
    Raises Refused if the run is not finished, has no such weights, or its files are damaged.
    """

    def __init__(self, run: Run, checkpoint: str | None = None) -> None:
        self.run = run.require_finished()
        self.weights_file = _weights_file(run, checkpoint)
        self.tokenizer = self._tokenizer("tokenizer.json")
        source = None if run.config.data.tokenizer.joint else self._tokenizer("source_tokenizer.json")
        self.source_tokenizer = source or self.tokenizer
        self.tokenizers = (self.tokenizer, source)
        weights, file = run.read(self.weights_file, WEIGHTS_LIMIT), run.path / self.weights_file
        require_weights_of(run.config, lambda: build_task(run.config, self.tokenizer, source).model, weights, file)
        self.task: Task = self._built(run.config)
        weights_from(weights, file, self.task.model)
        self.task.eval()

    @property
    def step(self) -> int:
        """The step whose weights these are; of averaged ones the last."""
        return int(self.run.summary["best_step" if self.weights_file == BEST_WEIGHTS else "steps"])

    def require(self, ability: str) -> "TrainedRun":
        """Return the run itself, or refuse it if its task cannot ``translate`` or ``generate``, as asked."""
        if not self.task.can(ability):
            what = {"translate": "translates nothing", "generate": "continues no text"}[ability]
            instead = "".join(f"; use {one}" for one in self.task.abilities)
            raise Refused(f"{self.run.path}: a run of task={self.run.config.task.name}, which {what}{instead}")
        return self

    def page(self, name: str) -> Path:
        """Return where a page of maps can stand beside those of the run, or refuse a link that leads out of its folder."""
        folder = self.run.path / "maps"
        if folder.is_symlink():
            raise Refused(f"{folder}: a symbolic link; give the name of a page elsewhere with --html")
        return folder / name

    def translate(
        self, sentences: Sequence[str], *, beam: int = BEAM, n_best: int = 1, length_penalty: float = 1.0
    ) -> list[Translated]:
        """Translate ``sentences``, in batches of similar length; each gets what it would get alone.

        ``beam`` 1 is greedy; ``n_best`` is at most ``beam``; ``length_penalty`` is alpha of Wu et al. 2016, equation 14.
        Raises Refused if the run does not translate, a sentence is no text, or the search is impossible.
        """
        self.require("translate")
        require_possible(beam, length_penalty, n_best)
        self._require_beam(beam)
        if isinstance(sentences, str):
            raise Refused("sentences: a list of texts is needed, not one text")
        for sentence in sentences:
            _require_text(sentence, "a sentence")
        room = self.run.config.task.max_length - 1
        encoded = [encoding.ids for encoding in self.source_tokenizer.encode_batch(sentences)]
        sources = [[*ids[:room], EOS] for ids in encoded]
        full = [row for row, sentence in enumerate(sentences) if sentence.strip()]
        options = {"beam": beam, "length_penalty": length_penalty, "n_best": n_best}
        answers = dict(zip(full, self._found([sources[row] for row in full], **options), strict=True))
        nothing = (TranslatedText("", 0.0, 0.0, ()),)
        return [
            Translated(sentence, tuple(sources[row]), len(encoded[row]) > room, answers[row])
            if row in answers
            else Translated(sentence, (), False, nothing)
            for row, sentence in enumerate(sentences)
        ]

    def generate(
        self,
        prompt: str,
        *,
        tokens: int = 100,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        samples: int = 1,
    ) -> list[str]:
        """Return how the language model continues ``prompt``, ``samples`` times; without the prompt itself.

        An empty prompt begins with the token that begins every text. Of a prompt longer than the model reads at once the
        last tokens are read, and a warning says so. Where a text fills what the model reads at once, it goes on from the
        last half of that.

        At most ``tokens`` are added, drawn from the ``top_k`` likeliest alone, or from the fewest likeliest with the
        probability ``top_p`` together (Holtzman et al. 2020); ``temperature`` 0 takes the likeliest. A seed gives the same
        texts for the same ``samples``.
        Raises Refused if the run continues no text, or nothing can be drawn so.
        """
        self.require("generate")
        for name, number, least in (("tokens", tokens, 1), ("samples", samples, 1), ("seed", seed, 0)):
            if not least <= number < 2**63:
                raise Refused(f"{name}={number}: must be a whole number, {least} or more")
        _require_text(prompt, "the prompt")
        ids, longest = self.tokenizer.encode(prompt).ids, self.run.config.task.max_length
        room = longest - 2  # beside the beginning and one more token
        if len(ids) > room:
            log.warning("the prompt has %s, of which the model reads the last %d", counted(len(ids), "token"), room)
            ids = ids[len(ids) - room :]
        generator = torch.Generator().manual_seed(seed)
        options: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "eos": EOS}
        window_NT = torch.tensor([[BOS, *ids]]).expand(samples, -1)
        drawn_NT = window_NT[:, :0]
        while drawn_NT.shape[1] < tokens and not bool((drawn_NT == EOS).any(1).all()):
            rest = tokens - drawn_NT.shape[1]
            longer_NT = sample_rows(self.task.model, window_NT, rest, longest, generator, **options)
            drawn_NT = torch.cat((drawn_NT, longer_NT[:, window_NT.shape[1] :]), dim=1)
            window_NT = longer_NT[:, -(longest // 2) :]
        return [self.tokenizer.decode(ids) for ids in drawn_NT.tolist()]

    def attention(self, text: str, *, beam: int | None = None) -> ProbeMaps:
        """Return the maps of a source and its best translation, or of a text as the language model reads it.

        ``beam`` is the width of the search for the translation, by default 5; a language model searches nothing.
        Raises Refused if the text is empty or longer than the run's ``task.max_length``.
        """
        _require_text(text, "the sentence")
        ids, longest = self.source_tokenizer.encode(text).ids, self.run.config.task.max_length
        if not ids:
            raise Refused("the sentence is empty")
        if len(ids) >= longest:
            raise Refused(f"the sentence has {len(ids)} tokens; this run reads fewer than {longest}")
        if beam is not None or self.task.can("translate"):
            self.require("translate")
            self._require_beam(beam or BEAM)
            (found,) = self._found([[*ids, EOS]], beam=beam or BEAM)
            return self.attention_of(Translated(text, (*ids, EOS), False, found))
        # The last token only closes the sequence: the maps show what is read before it.
        return probe_maps(self.task, 0, Probe(None, [BOS, *ids, EOS], None, None, text))

    def attention_of(self, translated: Translated, number: int = 0) -> ProbeMaps:
        """Return the maps of a translated sentence, which is not empty, under ``number``: those of the beam that won."""
        target_ids = [BOS, *translated.hypotheses[0].ids]
        probe = Probe(list(translated.source_ids), target_ids, None, None, translated.source)
        return probe_maps(self.task, number, probe)

    def evaluate(
        self,
        changes: Sequence[str] = (),
        *,
        split: str = "test",
        beam: int | None = None,
        stride: int | None = None,
        max_length: int | None = None,
    ) -> dict[str, Any]:
        """Return the run's metrics on a split of its data, some keys of which may be other ones, and how they came about.

        The tokenizer stays the run's. Nothing is written into the run.

        ``changes`` are ``KEY=VALUE`` each, of the config's section ``data``; ``split`` is ``val`` or ``test``; ``beam``,
        ``stride`` (``task.eval_stride``) and ``max_length`` (``task.max_length``), which may be more than in training where
        no parameter belongs to a position, are the run's own where they are None.
        Raises Refused if a key is none of the data's, the data cannot be had, or an argument does not fit the run.
        """
        values = with_data(self.run.config.to_dict(), changes)
        asked = (
            *(("beam", beam, "translates nothing"), ("eval_stride", stride, "has no windows of a text")),
            ("max_length", max_length, "reads no sequences"),
        )
        for key, value, what in asked:
            if value is not None:
                if key not in values["task"]:
                    task_name = values["task"]["name"]
                    raise Refused(f"{key}={value}: {self.run.path} is a run of task={task_name}, which {what}")
                values["task"][key] = value
        config = parse(values)
        if beam is not None:
            self._require_beam(beam)
        data = DataModule(config, tokenizers=self.tokenizers)
        data.prepare()
        task, weights = self._built(config), self.task.model.state_dict()
        for name, weight in task.model.state_dict().items():
            if weight.shape != weights[name].shape:
                of_positions = f"{name} was learned for {len(weights[name])} positions"
                raise Refused(
                    f"max_length={max_length}: {of_positions}; train with backbone.positions=sinusoidal or none"
                )
        task.model.load_state_dict(weights)
        return {
            "checkpoint": self.weights_file,
            "split": split,
            "rows": data.report[split]["rows"],
            "data": config.to_dict()["data"],
            "fingerprint": data.fingerprint,
            "beam": values["task"].get("beam"),
            "stride": values["task"].get("eval_stride"),
            "max_length": max_length,
            "metrics": evaluate(task, data, split),
            "signatures": task.signatures(),
        }

    def _built(self, config: RunConfig) -> Task:
        with torch.random.fork_rng(devices=()):  # torch's layers draw initial values, which are replaced
            return build_task(config, *self.tokenizers)

    def _tokenizer(self, name: str) -> Tokenizer:
        return Tokenizer.parse(self.run.read(name), self.run.path / name)

    def _require_beam(self, beam: int) -> None:
        size = self.tokenizer.vocab_size
        if beam > size:
            raise Refused(f"beam={beam}: more than the vocabulary, which has {counted(size, 'token')}")

    def _found(self, sources: list[list[int]], **options: Any) -> list[tuple[TranslatedText, ...]]:
        longest, decode = self.run.config.task.max_length, self.tokenizer.decode

        def text(one: Hypothesis) -> TranslatedText:
            return TranslatedText(decode(one.ids), one.score, one.log_probability, tuple(one.ids))

        found = translate_all(self.task.model, sources, bos=BOS, eos=EOS, max_length=longest, **options)
        return [tuple(map(text, hypotheses)) for hypotheses in found]


def load(path: str | Path, checkpoint: str | None = None) -> TrainedRun:
    """Load the finished run in the folder ``path``, with its weights ``best``, ``last`` or, where there are, ``averaged``.

    By default they are those that the run was tested with.
    """
    return TrainedRun(Run.open(path), checkpoint)


def _weights_file(run: Run, checkpoint: str | None) -> str:
    if checkpoint is None:
        return run.tested_weights
    if checkpoint not in CHECKPOINTS:
        raise Refused(unknown("checkpoint", checkpoint, list(CHECKPOINTS)))
    there = [name for name, file in CHECKPOINTS.items() if (run.path / file).exists()]
    if checkpoint not in there:
        raise Refused(f"{run.path}: the run has no checkpoint '{checkpoint}'; it has: {', '.join(there) or 'none'}")
    return CHECKPOINTS[checkpoint]


def _require_text(text: str, what: str) -> None:
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Refused(f"{what} must be a text in UTF-8 without NUL")
