"""The dataset ``digits``: 1,797 handwritten digits (Alpaydin and Kaynak 1998), which come with scikit-learn."""

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from attncompare.config.values import Positive
from attncompare.data.dataset import SPLITS, Dataset, ImageConfig
from attncompare.errors import Refused

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus

_IMAGES = 1797
_STROKE = 16  # the largest gray level there


class Digits(Dataset):
    """``data=digits``: images of 8 x 8 pixels, bright on black, drawn into train, val and test."""

    kind = "labelled"

    class Config(ImageConfig):
        """How many images become val and test."""

        val_size: Positive
        test_size: Positive

    config: Config

    def load(self) -> "Corpus":
        """Read the images; refused without scikit-learn, or if none would be left for train."""
        from attncompare.data.corpus import corpus

        config = self.config
        sizes = (_IMAGES - config.val_size - config.test_size, config.val_size, config.test_size)
        if sizes[0] < 1:
            raise Refused(
                f"data.val_size={config.val_size} and data.test_size={config.test_size}: there are {_IMAGES} images, so "
                f"together they must be below that"
            )
        if importlib.util.find_spec("sklearn") is None:
            raise Refused("data=digits: the images come with scikit-learn: pip install 'attncompare[digits]'")
        from sklearn.datasets import load_digits

        found = load_digits()
        order = np.random.default_rng(self.data_seed).permutation(_IMAGES)
        columns: dict[str, dict[str, list[Any]]] = {}
        for split, rows in zip(SPLITS, np.split(order, np.cumsum(sizes)[:-1]), strict=True):
            levels = (found.images[rows] * (255 / _STROKE)).round().astype(int)
            columns[split] = {"image": levels.tolist(), "label": [str(one) for one in found.target[rows]]}
        return corpus(columns)
