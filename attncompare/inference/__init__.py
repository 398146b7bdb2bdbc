"""What a trained run answers: translations, continuations, words at masks, labels, maps, and its figures on other data.

trained.py  a finished run as a model again
lines.py    sentences from a file or standard input, answers as lines, maps as a page
"""

from attncompare.inference.lines import harmless, one_line, sentence_batches, translate_lines, writable_page, write_maps
from attncompare.inference.trained import Filled, TrainedRun, Translated, TranslatedText, load

__all__ = [
    "Filled",
    "TrainedRun",
    "Translated",
    "TranslatedText",
    "harmless",
    "load",
    "one_line",
    "sentence_batches",
    "translate_lines",
    "writable_page",
    "write_maps",
]
