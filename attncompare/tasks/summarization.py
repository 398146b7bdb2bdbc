"""``task=summarization``: a text becomes its summary, scored by ROUGE (Lin 2004)."""

import re
from typing import ClassVar

from attncompare.tasks.pairs import PairTask, TextPairConfig

# A sentence ends with its mark before a blank, or where no blanks stand between sentences with a full-width one.
_END = re.compile(r"(?<=[.!?])[\"')\]]*(?=\s)|(?<=[。！？])|\n")


def lead(text: str) -> str:
    """Return the first sentence of ``text``, or its first line where that is shorter: the baseline lead-1."""
    text = text.strip()
    end = _END.search(text)
    return text[: end.end()].strip() if end else text


class Summarization(PairTask):
    """Texts and their summaries; of a text that is too long the beginning is read, in training too."""

    title = "Summarization"
    without_model: ClassVar = {"lead-1": lead}

    class Config(TextPairConfig):
        """``task=summarization``."""

        cut_sources: bool
        rouge_stemmer: bool
