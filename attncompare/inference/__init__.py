"""What a trained run answers: translations, continuations, words at masks, labels, maps, and its figures on other data.

trained.py  a finished run as a model again
lines.py    sentences from a file or standard input, answers as lines, maps as a page
inside.py   its maps of a sentence, with the norms of weighted values and what is likely next
attend.py   sentences as several runs read them
heads.py    what each head does, as scores
ablate.py   what each head is worth: turned off, one by one and more and more; ablate_page.py shows it
words.py    what a word of a sentence is worth: hidden from all heads
"""

from attncompare.inference.attend import Attended, attend_runs, page_beside
from attncompare.inference.inside import Likely
from attncompare.inference.lines import (
    harmless,
    one_line,
    say_unseen,
    sentence_batches,
    translate_lines,
    writable_page,
    write_maps,
)
from attncompare.inference.trained import Filled, TrainedRun, Translated, TranslatedText, load

__all__ = [
    "Attended",
    "Filled",
    "Likely",
    "TrainedRun",
    "Translated",
    "TranslatedText",
    "attend_runs",
    "harmless",
    "load",
    "one_line",
    "page_beside",
    "say_unseen",
    "sentence_batches",
    "translate_lines",
    "writable_page",
    "write_maps",
]
