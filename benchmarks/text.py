"""What a text needs to become tokens: the memory and the time of a process that reads it, learns a vocabulary and encodes."""

import json
import os
import random
import resource
import string
import subprocess
import sys
import time
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import arguments, parsed, shown, table

_VOCABULARY = {"word": 20_000, "character": None, "bpe": 8000, "unigram": 8000}
_COMMON = 50_000  # words, of which the n-th is n times as rare as the first
_NEW = 0.02  # share of words that come once


def write_text(path: Path, size: int, ends: str) -> None:
    """Write ``size`` bytes of words, each tenth of them followed by ``ends`` in place of a space."""
    rng = random.Random(0)
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9))) for _ in range(_COMMON)]
    weights = list(accumulate(1 / number for number in range(1, _COMMON + 1)))
    with path.open("w") as file:
        while (left := size - file.tell()) > 0:
            drawn = rng.choices(words, cum_weights=weights, k=10_000)
            for place in rng.sample(range(10_000), int(_NEW * 10_000)):
                drawn[place] = "".join(rng.choices(string.ascii_lowercase, k=8))
            lines = (" ".join(drawn[start : start + 10]) for start in range(0, 10_000, 10))
            file.write((ends.join(lines) + ends)[:left])


def prepare(path: str, kind: str, cache: str) -> dict[str, float]:
    """Make tokens of the text in this process; return its peak resident bytes, mapped files and libraries included."""
    import datasets

    from attncompare.data.module import DataModule
    from benchmarks.models import config_of

    datasets.config.HF_DATASETS_CACHE = Path(cache)
    size = _VOCABULARY[kind]
    changes = (f"data.path={path}", f"data.tokenizer.kind={kind}", f"data.tokenizer.vocab_size={size or 'null'}")
    began = time.perf_counter()
    DataModule(config_of("task=language_model", "data=text", *changes)).prepare()
    seconds = time.perf_counter() - began
    return {"bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "seconds": seconds}


def measured(path: Path, kind: str) -> dict[str, float]:
    """Do that in a process of its own, with nothing in its cache."""
    with TemporaryDirectory(dir=path.parent) as cache:
        words = [
            "-c",
            "import sys, json; from benchmarks.text import prepare; print(json.dumps(prepare(*sys.argv[1:])))",
        ]
        done = subprocess.run(
            [sys.executable, *words, path, kind, cache], stdout=subprocess.PIPE, check=True, env=dict(os.environ)
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(words: list[str] | None = None) -> None:
    """Print the table."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[50, 200, 1000], help="sizes of the text")
    parser.add_argument("--kinds", nargs="+", choices=_VOCABULARY, default=list(_VOCABULARY), help="of tokenizers")
    options = parsed(parser, words)
    rows = []
    for size in [1] if options.quick else options.megabytes:
        for lines, ends in {"lines of ten words": "\n", "one line": " "}.items():
            with TemporaryDirectory() as folder:
                path = Path(folder) / "text.txt"
                write_text(path, size * 10**6, ends)
                for kind in options.kinds:
                    found = measured(path, kind)
                    rows.append((f"{size} MB", lines, kind, shown(found["bytes"], "B"), shown(found["seconds"], "s")))
                    print(" ".join(rows[-1]), file=sys.stderr)
    table("Text to tokens", ("text", "of", "tokenizer", "peak memory", "time"), rows)


if __name__ == "__main__":
    main()
