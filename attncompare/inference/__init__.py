"""What a trained run answers: translations, continuations, attention maps, and its figures on other data.

trained.py  a finished run as a model again
lines.py    sentences from a file or standard input, answers as lines, maps as a page
"""

from attncompare.inference.lines import harmless, sentence_batches, translate_lines, writable_page, write_maps
from attncompare.inference.trained import TrainedRun, Translated, TranslatedText, load

__all__ = [
    "TrainedRun",
    "Translated",
    "TranslatedText",
    "harmless",
    "load",
    "sentence_batches",
    "translate_lines",
    "writable_page",
    "write_maps",
]
