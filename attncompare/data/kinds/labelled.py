"""Texts and images that have a label: as sequences for an encoder, as batches, and as names of labels.

A text is its tokens. An image is cut into squares, each a vector of its gray levels, row by row (Dosovitskiy et al. 2020,
section 3.1). Where the task pools a position of its own, ``[CLS]`` stands at the end, where a causal variant, too, sees the
whole sequence (Radford et al. 2018, section 3.3). Of tokens it is EOS; of vectors it is all 0 but for one more number, 1 there
alone, so that what the linear map has for that number is the learned vector of ``[CLS]``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from attncompare.config import RunConfig
from attncompare.data.batches import LabelledBatch, padded
from attncompare.data.corpus import Corpus, text_columns
from attncompare.data.dataset import SPLITS
from attncompare.data.encoding import RowsByLength, TokenRows, encode_lines
from attncompare.data.kinds.base import MODERATE, DataKind, Probe
from attncompare.data.tokenizer import BOS, EOS, SPECIALS, UNK, Tokenizer
from attncompare.errors import Refused
from attncompare.text import counted, shortly

CLS = "[CLS]"
_WHITE = 255  # the largest gray level
_MOST_NAMES = 20  # in a message


@dataclass(frozen=True)
class Example:
    """One text or image as the model reads it, and as people do."""

    source: list[int] | np.ndarray
    """Ids (S,), or vectors (S, features)."""
    places: list[str]
    """What stands at each of the S positions; of a patch its row and column, from 1."""
    image: np.ndarray | None = None
    """Its gray levels from 0 to 255, (height, width), uint8; None: it is a text."""
    patch: int = 0
    """The side of its squares, in pixels."""


def pools_cls(config: RunConfig) -> bool:
    """Return whether the run's task pools a position of its own."""
    return getattr(config.task, "pooling", "cls") == "cls"


def features_of(config: RunConfig) -> int | None:
    """Return the numbers in each vector of an image; None for texts."""
    patch: int | None = getattr(config.data, "patch", None)
    return None if patch is None else patch**2 + pools_cls(config)


def example_of_text(text: str, tokenizer: Tokenizer, config: RunConfig) -> Example:
    """Return a text, cut to ``task.max_length`` positions."""
    end = [EOS] * pools_cls(config)
    ids = tokenizer.encode(text).ids[: config.task.max_length - len(end)]
    return Example([*ids, *end], [*tokenizer.labels(ids, text), *[CLS] * len(end)])


def example_of_image(image_HW: np.ndarray, config: RunConfig) -> Example:
    """Return an image of gray levels from 0 to 255."""
    patch: int = config.data.patch
    columns = image_HW.shape[1] // patch
    places = [f"{1 + n // columns},{1 + n % columns}" for n in range(image_HW.size // patch**2)]
    vectors_SF = _vectors(image_HW[None], patch, pools_cls(config))[0]
    return Example(vectors_SF, [*places, *[CLS] * pools_cls(config)], image_HW.astype(np.uint8), patch)


def read_image(path: Path, size: Sequence[int]) -> np.ndarray:
    """Return the gray levels (height, width) of an image of this ``size``: a PNG file, or numbers from 0 to 255 as csv.

    Refused if the file is none, or of another size; nothing is resized.
    """
    try:
        if path.suffix.lower() == ".csv":
            levels = np.loadtxt(path, delimiter=",", ndmin=2)
        else:
            with Image.open(path, formats=["PNG"]) as image:
                if image.size[::-1] == tuple(size):  # else its pixels need not be read
                    levels = np.asarray(image.convert("L"), dtype=np.float64)
                else:
                    levels = np.zeros(image.size[::-1], dtype=np.bool_)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "no PNG image, and no csv file of numbers"
        raise Refused(f"{path}: cannot be read as an image: {reason}") from None
    if levels.shape != tuple(size):
        found, valid = (" x ".join(map(str, one)) for one in (levels.shape, size))
        raise Refused(f"{path}: {found} pixels; the images of the run have {valid}")
    if not ((levels >= 0) & (levels <= _WHITE)).all():
        raise Refused(f"{path}: gray levels must be numbers from 0 to {_WHITE}")
    return levels


class ImageRows:
    """Images as vectors; by row number (S, features), float32."""

    def __init__(self, images_NHW: np.ndarray, patch: int, cls: bool) -> None:
        self.images_NHW, self._patch, self._cls = images_NHW, patch, cls
        self.vectors_NSF = _vectors(images_NHW, patch, cls)
        self.lengths = np.full(len(images_NHW), self.vectors_NSF.shape[1], dtype=np.int32)

    def moved(self, rows: Sequence[int], by_N2: np.ndarray) -> np.ndarray:
        """Return the vectors (N, S, features) of images, moved down and right by so many pixels; black comes in."""
        most, (H, W) = int(np.abs(by_N2).max(initial=0)), self.images_NHW.shape[1:]
        wide_NHW = np.pad(self.images_NHW[list(rows)], ((0, 0), (most, most), (most, most)))
        starts_N2 = most - by_N2
        images = [image[y : y + H, x : x + W] for image, (y, x) in zip(wide_NHW, starts_N2.tolist(), strict=True)]
        return _vectors(np.stack(images), self._patch, self._cls)


def _vectors(images_NHW: np.ndarray, patch: int, cls: bool) -> np.ndarray:
    """Return (N, S, features): gray levels from -1 to 1 of each square, row by row, and at last [CLS] if it is asked for."""
    N, H, W = images_NHW.shape
    squares = images_NHW.reshape(N, H // patch, patch, W // patch, patch).swapaxes(2, 3).reshape(N, -1, patch**2)
    vectors_NSF = (2 / _WHITE * squares - 1).astype(np.float32)
    if not cls:
        return vectors_NSF
    framed = np.zeros((N, squares.shape[1] + 1, patch**2 + 1), dtype=np.float32)
    framed[:, :-1, :-1] = vectors_NSF
    framed[:, -1, -1] = 1
    return framed


class LabelledSet(RowsByLength, Dataset[LabelledBatch]):
    """Labelled rows; ``labelled_set[rows]`` is the batch of these rows. Texts over ``max_length`` are cut, in train too.

    ``source`` are the texts' tokens or the images, ``labels_N`` the number of each row's label, and ``framed`` whether
    [CLS] stands behind each text.
    """

    def __init__(
        self, source: TokenRows | ImageRows, labels_N: np.ndarray, max_length: int, framed: bool, unknown: int = 0
    ) -> None:
        self.source, self.labels_N, self._unknown = source, labels_N, unknown
        super().__init__([source.lengths + (framed and isinstance(source, TokenRows))], max_length, [True])

    def __getitem__(self, rows: list[int]) -> LabelledBatch:
        if isinstance(self.source, ImageRows):
            source_BS = torch.from_numpy(self.source.vectors_NSF[rows])
        else:
            source_BS = padded([self.source[row] for row in rows])
        return LabelledBatch(source_BS, torch.from_numpy(self.labels_N[rows]), torch.tensor(rows))

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record: tokens are positions after cutting, [CLS] among them; a row has one target."""
        tokens = int(self._sides[0].sum())
        facts: dict[str, int | float] = {"tokens": tokens, "source_tokens": tokens, "target_tokens": len(self)}
        return {**facts, "unknown_rate": self._unknown / tokens} if isinstance(self.source, TokenRows) else facts


def label_names(corpus: Corpus) -> Tokenizer:
    """Return the names of the labels in train, in order, as a vocabulary; refused if there is one alone."""
    names = sorted(set(corpus.splits["train"]["label"]))
    if len(names) < 2:
        raise Refused(
            f"every train row has the label '{shortly(names[0])}': there is nothing to tell apart; two labels or more are needed"
        )
    if taken := set(names) & set(SPECIALS):
        raise Refused(f"label '{min(taken)}': that name is taken; valid: any text but {', '.join(SPECIALS)}")
    return Tokenizer.of_names(names)


def _images(corpus: Corpus, split: str, patch: int, shift: int) -> np.ndarray:
    """Return the images of a split, (N, height, width), all of the size of the first of train."""
    first = np.array(corpus.splits["train"][0]["image"])
    H, W = first.shape
    if shift >= min(H, W):
        raise Refused(
            f"data.shift={shift}: nothing would be left of images of {H} x {W} pixels; valid: 0 to {min(H, W) - 1}"
        )
    if H % patch or W % patch:
        valid = ", ".join(str(one) for one in range(1, min(H, W) + 1) if H % one == W % one == 0)
        raise Refused(f"data.patch={patch}: images of {H} x {W} pixels cannot be cut into such squares; valid: {valid}")
    images = list(corpus.splits[split]["image"])
    for row, image in enumerate(images, start=1):
        if len(image) != H or any(len(line) != W for line in image):
            size = f"{len(image)} x {max(map(len, image), default=0)}"
            raise Refused(f"{split}, row {row}: an image of {size} pixels; the first of {SPLITS[0]} has {H} x {W}")
    return np.array(images, dtype=np.uint8)


class Labelled(DataKind[LabelledSet]):
    """``kind = "labelled"``: the column ``label``, and ``text`` or ``image``.

    ``tokenizer`` has the names of the labels, ``source_tokenizer`` is that of the texts; None: the rows are images.
    """

    def learned_tokenizers(self) -> tuple[Tokenizer, Tokenizer | None]:
        """Return the names of the labels, and the tokenizer of the texts."""
        texts = text_columns(self.corpus)
        return label_names(self.corpus), self.learned(texts) if texts else None

    def split_set(self, split: str) -> LabelledSet:
        """Return a split.

        Refused: a label that train lacks, images of different sizes, of more patches than ``task.max_length`` has places for,
        of a size that ``data.patch`` does not divide, or so small that ``data.shift`` leaves nothing of them.
        """
        rows, cls, longest = self.corpus.splits[split], pools_cls(self.config), self.config.task.max_length
        numbers = {name: number for number, name in enumerate(self.tokenizer.names)}
        names, texts = list(rows["label"]), self.source_tokenizer
        if (strange := next((row for row, name in enumerate(names) if name not in numbers), None)) is not None:
            text = f" ({shortly(rows[strange]['text'])})" if texts is not None else ""
            valid = ", ".join(list(numbers)[:_MOST_NAMES]) + (", ..." if len(numbers) > _MOST_NAMES else "")
            raise Refused(
                f"{split}, row {strange + 1}{text}: no train row has the label '{shortly(names[strange])}'; valid: {valid}"
            )
        labels_N = np.array([numbers[name] for name in names], dtype=np.int64)
        if texts is None:
            images: Any = self.config.data
            source = ImageRows(_images(self.corpus, split, images.patch, images.shift), images.patch, cls)
            if (size := int(source.lengths[0])) > longest:
                what = f"an image of {counted(size - cls, 'square')}{' and [CLS]' * cls}"
                raise Refused(f"task.max_length={longest}: {what} needs {size} places; raise it, or data.patch")
            return LabelledSet(source, labels_N, longest, cls)
        arrays = self.encoded.arrays(split, ["text"], texts, encode_lines)
        tokens = TokenRows(arrays["ids"], arrays["ends"], longest - cls, after=(EOS,) * cls)
        seen = tokens.seen(np.arange(len(tokens)))
        unknown = sum(int((arrays["ids"][at] == UNK).sum()) for at in seen)
        return LabelledSet(tokens, labels_N, longest, cls, unknown)

    def augmented(self, batch: LabelledBatch, rows: LabelledSet, epoch: int) -> LabelledBatch:
        """Return the batch with each image moved by up to ``data.shift`` pixels, as drawn for its row and the epoch."""
        shift = getattr(self.config.data, "shift", 0)
        if not shift or not isinstance(rows.source, ImageRows):
            return batch
        numbers = batch.index_B.tolist()
        rngs = (np.random.default_rng([self.config.order, epoch, row]) for row in numbers)
        by_B2 = np.stack([rng.integers(-shift, shift + 1, 2) for rng in rngs])
        return batch._replace(source_BS=torch.from_numpy(rows.source.moved(numbers, by_B2)))

    def probes(self, split: str, rows: LabelledSet, count: int) -> list[Probe]:
        """Return first those of moderate length."""
        probes = []
        for row in sorted(rows.kept.tolist(), key=lambda row: rows.source.lengths[row] not in MODERATE)[:count]:
            found: dict[str, Any] = self.corpus.splits[split][row]
            if self.source_tokenizer is not None:
                written, one = found["text"], example_of_text(found["text"], self.source_tokenizer, self.config)
            else:
                written, one = f"{split} image {row}", example_of_image(np.array(found["image"]), self.config)
            target = [BOS, len(SPECIALS) + int(rows.labels_N[row])]
            probes.append(Probe(one.source, target, None, None, written, one.places, one.image, one.patch))
        return probes

    def own_probe(self, text: str) -> Probe:
        """Return a text of the user's; refused where the rows are images."""
        if self.source_tokenizer is None:
            return super().own_probe(text)
        self.fitting(text, self.source_tokenizer, int(pools_cls(self.config)))
        one = example_of_text(text, self.source_tokenizer, self.config)
        return Probe(one.source, [], None, None, text, one.places)

    def facts(self, rows: LabelledSet) -> dict[str, Any]:
        """Return the names of the labels, and of images height and width."""
        image = {"image": list(rows.source.images_NHW.shape[1:])} if isinstance(rows.source, ImageRows) else {}
        return {"labels": self.tokenizer.names, **image}
