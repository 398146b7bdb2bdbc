"""A trained run, loaded from its folder: its model, ready for new sentences."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attncompare.config import RunConfig, parse, with_data
from attncompare.data.audio import changed, drawn, read_wav, vectors_of
from attncompare.data.kinds import Probe
from attncompare.data.kinds.labelled import Example, example_of_image, example_of_text, read_image
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import BOS, EOS, MASK, SPECIALS, Tokenizer
from attncompare.decoding import Hypothesis, require_possible, sample_rows, translate_all
from attncompare.errors import Refused
from attncompare.inference.inside import Likely, likeliest, look_inside
from attncompare.maps import ProbeMaps
from attncompare.record import (
    AVERAGED_WEIGHTS,
    BEST_WEIGHTS,
    LAST_WEIGHTS,
    WEIGHTS_LIMIT,
    WORDS,
    Run,
    require_weights_of,
    weights_from,
)
from attncompare.registry import unknown
from attncompare.tasks import Task, build_task
from attncompare.text import counted
from attncompare.training import evaluate

if TYPE_CHECKING:
    from pandas import DataFrame

log = logging.getLogger("attncompare")
MASKED = "[MASK]"
"""What stands for a masked token where people write one."""
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
    source_ids: tuple[Any, ...]
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


@dataclass(frozen=True)
class Filled:
    """A token that may stand at a mask: what it is called (``▁`` is a space), its text, and its probability."""

    token: str
    text: str
    probability: float


class TrainedRun:
    """The model of a finished run: ``task`` is its LightningModule, in evaluation mode.

    ``checkpoint`` is a name of :data:`CHECKPOINTS`; None: the weights that it was tested with.
    Raises Refused if the run is not finished, has no such weights, or its files are damaged.
    """

    def __init__(self, run: Run, checkpoint: str | None = None) -> None:
        self.run = run.require_finished()
        self.weights_file = _weights_file(run, checkpoint)
        self.tokenizer = self._tokenizer("tokenizer.json")
        name, tokens = "source_tokenizer.json", run.config.data.tokenizer
        two = run.has(name) or (
            tokens is not None and not tokens.joint
        )  # labels, and the texts that have them, or languages
        source = self._tokenizer(name) if two else None
        self.source_tokenizer = source or self.tokenizer
        self.tokenizers = (self.tokenizer, source)
        weights, file = run.read(self.weights_file, WEIGHTS_LIMIT), run.path / self.weights_file
        require_weights_of(run.config, lambda: build_task(run.config, self.tokenizer, source).model, weights, file)
        self.task: Task = self._built(run.config)
        weights_from(weights, file, self.task.model)
        self.task.eval()

    def __repr__(self) -> str:
        return f"Trained{self.run!r}"

    def _repr_html_(self) -> str:
        """Return what a notebook shows of the run."""
        return self.run._repr_html_()

    def to_frame(self) -> "DataFrame":
        """Return what was logged while it was trained, by step (:meth:`attncompare.record.Run.to_frame`)."""
        return self.run.to_frame()

    @property
    def step(self) -> int:
        """The step whose weights these are; of averaged ones the last."""
        return int(self.run.summary["best_step" if self.weights_file == BEST_WEIGHTS else "steps"])

    def require(self, ability: str) -> "TrainedRun":
        """Return the run itself, or refuse it if its task has not the ``ability``."""
        if not self.task.can(ability):
            instead = "".join(f"; use {one}" for one in self.task.abilities)
            raise Refused(
                f"{self.run.path}: a run of task={self.run.config.task.name}, which cannot {ability}{instead}"
            )
        return self

    def require_attention(self) -> "TrainedRun":
        """Return the run itself, or refuse it if its model has no attention, so that there is nothing to show."""
        if not self.task.sites:
            raise Refused(f"{self.run.path}: a run of attention=none, which has no attention maps")
        return self

    def page(self, name: str) -> Path:
        """Return where a page of maps can stand beside those of the run, or refuse a link that leads out of its folder."""
        return page_in(self.run.path, name)

    def unseen(self, text: str) -> list[str]:
        """Return the words of ``text`` that training has not seen, or that are unknown tokens; each once.

        Where the record does not hold the words of training, as they are too many, these are the unknown tokens alone.
        """
        reads, known = self.source_tokenizer, self._seen
        new = [] if known is None else [word for word in reads.words(text) if word not in known]
        return list(dict.fromkeys([*new, *reads.unknown(text)]))

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

    def transcribe(
        self, files: Sequence[str | Path], *, beam: int = BEAM, length_penalty: float = 1.0
    ) -> list[Translated]:
        """Write what is said in wav files; each gets what it would get alone.

        A sound of another rate or of several channels is changed as in training, and a warning says so. ``source`` of what is
        returned is the name of the file, ``source_ids`` are its vectors, and ``cut`` says that only the first
        ``task.max_length`` were read; other arguments as for :meth:`translate`.
        Raises Refused if the run does not transcribe, a file is no whole wav file, or the search is impossible.
        """
        self.require("transcribe")
        require_possible(beam, length_penalty, 1)
        self._require_beam(beam)
        longest = self.run.config.task.max_length
        heard = [self._heard(Path(file))[1] for file in files]
        found = self._found([one[:longest].tolist() for one in heard], beam=beam, length_penalty=length_penalty)
        return [
            Translated(str(file), tuple(vectors[:longest].tolist()), len(vectors) > longest, answer)
            for file, vectors, answer in zip(files, heard, found, strict=True)
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
        show: Callable[[Likely], None] | None = None,
    ) -> list[str]:
        """Return how the language model continues ``prompt``, ``samples`` times; without the prompt itself.

        An empty prompt begins with the token that begins every text. Of a prompt longer than the model reads at once the
        last tokens are read, and a warning says so. Where a text fills what the model reads at once, it goes on from the
        last half of that.

        At most ``tokens`` are added, drawn from the ``top_k`` likeliest alone, or from the fewest likeliest with the
        probability ``top_p`` together (Holtzman et al. 2020); ``temperature`` 0 takes the likeliest. A seed gives the same
        texts for the same ``samples``. ``show`` gets for each token of a text what was likely there; it asks for one sample.
        Raises Refused if the run continues no text, or nothing can be drawn so.
        """
        self.require("generate")
        for name, number, least in (("tokens", tokens, 1), ("samples", samples, 1), ("seed", seed, 0)):
            if not least <= number < 2**63:
                raise Refused(f"{name}={number}: must be a whole number, {least} or more")
        if show is not None and samples != 1:
            raise Refused(f"samples={samples}: probabilities are shown of one text; give samples=1")
        _require_text(prompt, "the prompt")
        ids, longest = self.tokenizer.encode(prompt).ids, self.run.config.task.max_length
        room = longest - 2  # beside the beginning and one more token
        if len(ids) > room:
            log.warning("the prompt has %s, of which the model reads the last %d", counted(len(ids), "token"), room)
            ids = ids[len(ids) - room :]
        generator = torch.Generator().manual_seed(seed)
        options: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "eos": EOS}
        if show is not None:
            options["seen"] = lambda p_1V, token_1: show(likeliest(self.tokenizer, p_1V, token_1)[0])
        window_NT = torch.tensor([[BOS, *ids]]).expand(samples, -1)
        drawn_NT = window_NT[:, :0]
        while drawn_NT.shape[1] < tokens and not bool((drawn_NT == EOS).any(1).all()):
            rest = tokens - drawn_NT.shape[1]
            longer_NT = sample_rows(self.task.model, window_NT, rest, longest, generator, **options)
            drawn_NT = torch.cat((drawn_NT, longer_NT[:, window_NT.shape[1] :]), dim=1)
            window_NT = longer_NT[:, -(longest // 2) :]
        return [self.tokenizer.decode(ids) for ids in drawn_NT.tolist()]

    def classify(self, given: str | Path) -> list[tuple[str, float]]:
        """Return all labels with their probabilities, the likeliest first: of a text, or of the image in a file.

        A text over the run's ``task.max_length`` is cut, as in training. An image is a PNG file, or a csv file of gray levels
        from 0 to 255, of the size of the run's images.
        Raises Refused if the run knows no labels, the text is empty, or the file is no such image.
        """
        self.require("classify")
        task: Any = self.task
        found: list[tuple[str, float]] = task.classify(torch.as_tensor(self._example(given).source)[None])[0]
        return found

    def _example(self, given: str | Path) -> Example:
        """Return the text, or the image in a file, that the run is asked about."""
        if (size := self.run.summary["data"].get("image")) is not None:
            return example_of_image(read_image(Path(given), size), self.run.config)
        text = str(given)
        _require_text(text, "the text")
        if not text.strip():
            raise Refused("the text is empty")
        return example_of_text(text, self.source_tokenizer, self.run.config)

    def fill(self, text: str, *, top: int = 5) -> list[list[Filled]]:
        """Return for each ``[MASK]`` in ``text`` the ``top`` likeliest tokens, the likeliest first; each mask is one token.

        Where tokens carry the space before them, a mask does so too. Special tokens are left out.
        Raises Refused if the run fills no masks, or the text has none or is longer than the run's ``task.max_length``.
        """
        self.require("fill")
        if not 1 <= top < 2**63:
            raise Refused(f"top={top}: must be a whole number, 1 or more")
        _require_text(text, "the text")
        if MASKED not in text:
            raise Refused(f"the text has no mask; write {MASKED} where a token is to be found: 'The {MASKED} sat'")
        ids = self._ids_with_masks(text)
        self._require_room(ids)
        answers = []
        for probability_V in self.task.probabilities(ids):
            likeliest = [
                one for one in probability_V.argsort(descending=True, stable=True).tolist() if self._is_text(one)
            ]
            answers.append([self._filled(one, float(probability_V[one])) for one in likeliest[:top]])
        return answers

    def attention(self, text: str, *, beam: int | None = None) -> ProbeMaps:
        """Return the maps of a source and its best translation, of a text as a language model reads it, or of what a run
        with labels is asked about (:meth:`classify`) and its likeliest label.

        Of a run that transcribes, ``text`` is the name of a wav file; for one that fills masks it may hold some. ``beam`` is
        the width of the search for the translation, by default 5; a language model searches nothing. The sites have the norms
        of weighted values, and of a model that writes there are the likeliest next tokens.
        Raises Refused if the text is empty or longer than the run's ``task.max_length``, or the model has no attention.
        """
        return look_inside(self.task, 0, self.probe(text, beam=beam))

    def probe(self, text: str, *, beam: int | None = None) -> Probe:
        """Return what :meth:`attention` shows the maps of, as ids; arguments and errors are its."""
        self.require_attention()
        if self.task.can("classify"):
            one, ((label, _), *_) = self._example(text), self.classify(text)
            target = [BOS, *self.tokenizer.encode(label).ids]
            return Probe(one.source, target, None, None, text, one.places, one.image, one.patch)
        _require_text(text, "the sentence")
        if self.task.can("transcribe"):
            return self._probe_of_sound(Path(text), beam or BEAM)
        if beam is None and self.task.can("fill"):
            ids = self._ids_with_masks(text)
            self._require_room(ids)
            return Probe(ids, [], None, None, "" if MASKED in text else text)
        ids, longest = self.source_tokenizer.encode(text).ids, self.run.config.task.max_length
        if not ids:
            raise Refused("the sentence is empty")
        if len(ids) >= longest:
            raise Refused(f"the sentence has {len(ids)} tokens; this run reads fewer than {longest}")
        if beam is not None or self.task.can("translate"):
            self.require("translate")
            self._require_beam(beam or BEAM)
            (found,) = self._found([[*ids, EOS]], beam=beam or BEAM)
            return _probe_of(Translated(text, (*ids, EOS), False, found))
        if self.task.architecture == "encoder_only":
            return Probe([*ids, *([EOS] if self.task.data_kind == "parallel" else [])], [], None, None, text)
        # The last token only closes the sequence: the maps show what is read before it.
        return Probe(None, [BOS, *ids, EOS], None, None, text)

    def attention_of(self, translated: Translated, number: int = 0) -> ProbeMaps:
        """Return the maps of a translated sentence, which is not empty, under ``number``: those of the beam that won."""
        return look_inside(self.task, number, _probe_of(translated))

    def _probe_of_sound(self, file: Path, beam: int) -> Probe:
        wave_N, vectors_SF = self._heard(file)
        longest = self.run.config.task.max_length
        if len(vectors_SF) > longest:
            raise Refused(f"{file}: {counted(len(vectors_SF), 'vector')} of sound; this run reads up to {longest}")
        self._require_beam(beam)
        ((best, *_),) = self._found([vectors_SF.tolist()], beam=beam)
        shown = drawn(wave_N, len(vectors_SF), self.run.config.data)
        return Probe(vectors_SF.tolist(), [BOS, *best.ids], None, None, file.name, **shown)

    def _heard(self, file: Path) -> tuple[np.ndarray, np.ndarray]:
        """Return the sound of a wav file, int16 (N,), and its vectors (S, features); a warning says how it was changed."""
        config: Any = self.run.config.data
        wave_N, rate, channels = read_wav(file, config.rate)
        if what := changed(rate, channels, config.rate):
            log.warning("%s: %s", file, what)
        return wave_N, vectors_of(wave_N, config, str(file))

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

    @cached_property
    def _seen(self) -> frozenset[str] | None:
        return frozenset(self.run.read(WORDS).decode().split("\n")) if self.run.has(WORDS) else None

    def _built(self, config: RunConfig) -> Task:
        with torch.random.fork_rng(devices=()):  # torch's layers draw initial values, which are replaced
            return build_task(config, *self.tokenizers)

    def _tokenizer(self, name: str) -> Tokenizer:
        return Tokenizer.parse(self.run.read(name), self.run.path / name)

    def _ids_with_masks(self, text: str) -> list[int]:
        """Return the tokens of a text, in which each ``[MASK]`` is one, of a run that knows any."""
        if not self.task.can("fill"):
            return self.tokenizer.encode(text).ids
        parts = text.split(MASKED)
        if (
            self.run.config.data.tokenizer.kind != "character"
        ):  # a token carries the space before it, and so does a mask
            parts = [*(part.removesuffix(" ") for part in parts[:-1]), parts[-1]]
        mask = self.tokenizer.special(MASK)
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(parts)]
        return [*encoded[0], *(one for ids in encoded[1:] for one in (mask, *ids))]

    def _require_room(self, ids: list[int]) -> None:
        longest = self.run.config.task.max_length
        if not ids:
            raise Refused("the text is empty")
        if len(ids) > longest:
            raise Refused(f"the text has {counted(len(ids), 'token')}; this run reads at most {longest}")

    def _is_text(self, token: int) -> bool:
        return token >= len(SPECIALS) and token != self.tokenizer.special(MASK)

    def _filled(self, token: int, probability: float) -> Filled:
        return Filled(self.tokenizer.labels([token])[0], self.tokenizer.decode([token]), probability)

    def _require_beam(self, beam: int) -> None:
        size = self.tokenizer.vocab_size
        if beam > size:
            raise Refused(f"beam={beam}: more than the vocabulary, which has {counted(size, 'token')}")

    def _found(self, sources: list[list[Any]], **options: Any) -> list[tuple[TranslatedText, ...]]:
        longest, decode = self.run.config.task.max_length, self.tokenizer.decode

        def text(one: Hypothesis) -> TranslatedText:
            return TranslatedText(decode(one.ids), one.score, one.log_probability, tuple(one.ids))

        found = translate_all(self.task.model, sources, bos=BOS, eos=EOS, max_length=longest, **options)
        return [tuple(map(text, hypotheses)) for hypotheses in found]


def load(run: str | Path | Run, checkpoint: str | None = None) -> TrainedRun:
    """Load a finished run, given by its folder or as a record, with its weights ``best``, ``last`` or, where there are,
    ``averaged``.

    By default they are those that the run was tested with.
    """
    return TrainedRun(run if isinstance(run, Run) else Run.open(run), checkpoint)


def page_in(run: Path, name: str) -> Path:
    """Return where a page of maps can stand beside those of a run, or refuse a link that leads out of its folder."""
    folder = run / "maps"
    if folder.is_symlink():
        raise Refused(f"{folder}: a symbolic link; give the name of a page elsewhere with --html")
    return folder / name


def _probe_of(translated: Translated) -> Probe:
    """Return a translated sentence and its best translation."""
    target_ids = [BOS, *translated.hypotheses[0].ids]
    return Probe(list(translated.source_ids), target_ids, None, None, translated.source)


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
