"""Sums of two random numbers as text: ``12+7=19``."""

import random
from typing import Any

from pydantic import model_validator

from attncompare.config.values import Positive
from attncompare.data.corpus import Corpus, corpus
from attncompare.data.dataset import Dataset, GeneratedConfig


class Addition(Dataset):
    """``data=addition``: the answer behind the equals sign counts; no sum stands in two splits."""

    kind = "text"

    class Config(GeneratedConfig):
        """How long the numbers are."""

        digits: Positive

        @model_validator(mode="after")
        def _enough(self) -> "Addition.Config":
            if sum(self.sizes) > 100**self.digits:
                raise ValueError(
                    f"digits={self.digits} gives {100**self.digits} sums, fewer than train, val and test need"
                )
            return self

    config: Config

    def load(self) -> Corpus:
        """Draw different pairs of numbers."""
        numbers = 10**self.config.digits
        drawn = random.Random(f"addition {self.data_seed}").sample(range(numbers**2), sum(self.config.sizes))
        columns: dict[str, dict[str, list[Any]]] = {}
        start = 0
        for split, size in zip(("train", "val", "test"), self.config.sizes, strict=True):
            rows = [self._row(*divmod(one, numbers)) for one in drawn[start : start + size]]
            columns[split] = {"text": [text for text, _ in rows], "scored": [spans for _, spans in rows]}
            start += size
        return corpus(columns)

    def _row(self, one: int, other: int) -> tuple[str, list[list[int]]]:
        question, answer = f"{one}+{other}=", str(one + other)
        return question + answer, [[len(question), len(question + answer)]]
