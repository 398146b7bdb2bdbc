"""The dataset ``morse``: short texts keyed as tones of Morse code, of which each sample's letter is known."""

import random
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from attncompare.config.values import NotNegativeFloat, Positive, must_be
from attncompare.data.audio import SoundConfig
from attncompare.data.dataset import SPLITS, Dataset, GeneratedConfig
from attncompare.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from attncompare.data.corpus import Corpus

# International Morse code (Recommendation ITU-R M.1677-1, part I, section 1.1).
CODE = {
    **{"a": ".-", "b": "-...", "c": "-.-.", "d": "-..", "e": ".", "f": "..-.", "g": "--.", "h": "....", "i": ".."},
    **{"j": ".---", "k": "-.-", "l": ".-..", "m": "--", "n": "-.", "o": "---", "p": ".--.", "q": "--.-", "r": ".-."},
    **{"s": "...", "t": "-", "u": "..-", "v": "...-", "w": ".--", "x": "-..-", "y": "-.--", "z": "--.."},
    **{"0": "-----", "1": ".----", "2": "..---", "3": "...--", "4": "....-"},
    **{"5": ".....", "6": "-....", "7": "--...", "8": "---..", "9": "----."},
}
_FORM = 1  # of what is cached
_DASH, _IN_LETTER, _BETWEEN_LETTERS, _BETWEEN_WORDS = 3, 1, 3, 7  # dots (the same, section 2)
_PARIS = 50  # dots of the word that speed is counted in
_SILENCE = 5  # dots before and after the text
_RISE = 0.005  # seconds in which a tone comes and goes, so that it does not click
_LEVEL = 0.3  # the amplitude of a tone
_TRIES = 20  # draws for each text that is needed, before giving up

Symbols = Annotated[int, Field(ge=2, le=len(CODE)), must_be(f"an integer from 2 to {len(CODE)}")]
Range = tuple[float, float]


class Morse(Dataset):
    """``data=morse``: sound generated from the seed, with the samples of each letter's tones."""

    kind = "speech"
    aligned = True

    class Config(SoundConfig, GeneratedConfig):
        """How long the texts are, and how they are keyed."""

        symbols: Symbols
        min_letters: Positive
        max_letters: Positive
        max_words: Positive
        wpm: Range
        pitch: Range
        snr: Range
        jitter: NotNegativeFloat

        @model_validator(mode="after")
        def _ranges(self) -> "Morse.Config":
            if self.min_letters > self.max_letters:
                raise ValueError(f"min_letters={self.min_letters} is above max_letters={self.max_letters}")
            limits = {"wpm": (1, 100), "pitch": (50, self.rate / 2), "snr": (-60, 120)}
            for key, (least, most) in limits.items():
                low, high = getattr(self, key)
                if not least <= low <= high <= most:
                    raise ValueError(
                        f"{key}=[{low:g},{high:g}]: must be two numbers, the lower first, from {least:g} to {most:g}"
                    )
            if self.jitter > 0.3:
                raise ValueError(f"jitter={self.jitter:g}: must be 0 to 0.3; a dot would be as long as a dash beyond")
            return self

    config: Config

    def load(self) -> "Corpus":
        """Generate the corpus, a pure function of config and seed; see :meth:`Dataset.load`.

        Columns: ``wave`` (int16), ``name``, ``target``, and ``source_spans`` and ``target_spans``, the samples from the first
        tone of a letter to its last and the letter's place in the text, which share a number.
        """
        import pyarrow as pa
        from datasets import DatasetDict

        from attncompare.data.cache import cached_rows
        from attncompare.data.corpus import Corpus

        texts, config, first = self._texts(), self.config, 0
        spans = pa.list_(pa.list_(pa.int32()))
        schema = pa.schema(
            {"wave": pa.list_(pa.int16()), "name": pa.string(), "target": pa.string()}
            | {"source_spans": spans, "target_spans": spans}
        )
        splits = {}
        for split, size in zip(SPLITS, config.sizes, strict=True):
            own = texts[first : first + size]
            key = ["morse", _FORM, self.data_seed, config.model_dump(exclude={"tokenizer"}), split]
            splits[split] = cached_rows(key, schema, partial(self._tables, own, first, schema))
            first += size
        return Corpus(DatasetDict(splits))

    def _texts(self) -> list[str]:
        """Return as many different texts as all splits need."""
        config, rng = self.config, random.Random(f"morse {self.data_seed}")
        letters, needed = [*CODE][: config.symbols], sum(config.sizes)
        texts: dict[str, None] = {}
        for _ in range(_TRIES * needed):
            sizes = [
                rng.randint(config.min_letters, config.max_letters) for _ in range(rng.randint(1, config.max_words))
            ]
            texts[" ".join("".join(rng.choices(letters, k=size)) for size in sizes)] = None
            if len(texts) == needed:
                return list(texts)
        raise Refused(
            f"data=morse cannot give {needed} different texts; train_size + val_size + test_size must be below {len(texts)}"
        )

    def _tables(self, texts: list[str], first: int, schema: "pa.Schema") -> "Iterator[pa.Table]":
        import numpy as np
        import pyarrow as pa

        for start in range(0, len(texts), 200):
            rows = []
            for number, text in enumerate(texts[start : start + 200], start=first + start):
                rng = np.random.default_rng([self.data_seed, number])
                low, high = np.transpose([self.config.wpm, self.config.pitch, self.config.snr])
                wpm, pitch, snr = rng.uniform(low, high)
                wave, spans = keyed(text, wpm, pitch, snr, self.config.jitter, self.config.rate, rng)
                letters = [at for at, letter in enumerate(text) if letter != " "]
                rows.append(
                    {
                        "wave": wave,
                        "name": f"{number}: {wpm:.0f} wpm, {pitch:.0f} Hz, {snr:.0f} dB",
                        "target": text,
                        "source_spans": [[*span, at] for span, at in zip(spans, letters, strict=True)],
                        "target_spans": [[at, at + 1, at] for at in letters],
                    }
                )
            yield pa.Table.from_pylist(rows, schema)


def keyed(
    text: str, wpm: float, pitch: float, snr: float, jitter: float, rate: int, rng: "np.random.Generator"
) -> "tuple[np.ndarray, list[tuple[int, int]]]":
    """Return ``text`` as sound, int16 (N,), and for each letter the samples, half-open, from its first tone to its last.

    A dash is as long as three dots, as is the space between letters; that within a letter is one dot, that between words
    seven (ITU-R M.1677-1, part I, section 2).

    Args:
        text: letters, digits and single spaces.
        wpm: speed in words a minute, of which each is 50 dots long, as is PARIS.
        pitch: of the tone, in Hz.
        snr: power of the tone over that of white noise, in dB.
        jitter: standard deviation of each length, as a share of it.
        rate: samples a second.
        rng: of the lengths, the phase and the noise.
    """
    import numpy as np

    from attncompare.data.audio import as_pcm

    dot, now = 60 / (_PARIS * wpm), 0.0

    def lasting(dots: float) -> float:
        return dots * dot * float(np.clip(1 + jitter * rng.standard_normal(), 0.5, 1.5))

    tones: list[tuple[float, float]] = []  # seconds
    letters: list[tuple[int, int]] = []  # tones
    now += lasting(_SILENCE)
    for number, word in enumerate(text.split(" ")):
        now += lasting(_BETWEEN_WORDS) if number else 0
        for place, letter in enumerate(word):
            now += lasting(_BETWEEN_LETTERS) if place else 0
            first = len(tones)
            for sign, mark in enumerate(CODE[letter]):
                now += lasting(_IN_LETTER) if sign else 0
                tones.append((now, now + lasting(_DASH if mark == "-" else 1)))
                now = tones[-1][1]
            letters.append((first, len(tones)))
    now += lasting(_SILENCE)
    samples = [(round(start * rate), round(end * rate)) for start, end in tones]
    envelope_N = np.zeros(round(now * rate))
    for start, end in samples:
        inside = np.minimum(np.arange(end - start) + 0.5, end - start - 0.5 - np.arange(end - start)) / (_RISE * rate)
        envelope_N[start:end] = 0.5 - 0.5 * np.cos(np.pi * np.clip(inside, 0, 1))
    phase = rng.uniform(0, 2 * np.pi)
    tone_N = _LEVEL * envelope_N * np.sin(2 * np.pi * pitch / rate * np.arange(len(envelope_N)) + phase)
    noise = _LEVEL / np.sqrt(2) * 10 ** (-snr / 20)
    spans = [(samples[first][0], samples[last - 1][1]) for first, last in letters]
    return as_pcm(tone_N + noise * rng.standard_normal(len(tone_N))), spans
