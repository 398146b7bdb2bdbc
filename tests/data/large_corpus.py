"""Prints the memory that a generated corpus of PAIRS pairs takes, in MB: how much more than before, at most.

Usage: python large_corpus.py PAIRS FOLDER. Counted is memory of the process's own: mapped files are the system's to
take back.
"""

import json
import sys
import threading
import time
from pathlib import Path

import datasets
import numpy as np

from attncompare.config import TokenizerConfig
from attncompare.data.corpus import Corpus
from attncompare.data.encoded_corpus import EncodedCorpus
from attncompare.data.order import Loader, Order
from attncompare.data.overlap import overlap
from attncompare.data.pair_set import PairSet

WORDS = 5000


def own_memory():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1000


class Watch(threading.Thread):
    """Looks at the memory again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.before = self.most = own_memory()

    def run(self):
        while True:
            self.most = max(self.most, own_memory())
            time.sleep(0.01)


def lines(count, seed):
    """Yield sentences of 5 to 20 words, a thousand at a time."""
    rng = np.random.default_rng(seed)
    words = np.array(["".join(chr(97 + number // 26**place % 26) for place in range(6)) for number in range(WORDS)])
    for _ in range(0, count, 1000):
        yield "".join(" ".join(words[rng.integers(WORDS, size=size)]) + "\n" for size in rng.integers(5, 21, 1000))


def written(folder, count):
    sides = {}
    for seed, side in enumerate(("source", "target")):
        file = folder / f"{count}.{side}"
        with file.open("w") as opened:
            opened.writelines(lines(count, seed))
        sides[side] = datasets.Dataset.from_text(str(file), cache_dir=str(folder)).rename_column("text", side)
    return datasets.concatenate_datasets(list(sides.values()), axis=1)


def main(count, folder):
    datasets.disable_progress_bars()
    datasets.config.HF_DATASETS_CACHE = folder / "cache"
    small = written(folder, 1000)
    text = Corpus(datasets.DatasetDict(train=written(folder, count), val=small, test=small))
    watch = Watch()
    watch.start()
    began = time.monotonic()
    config = TokenizerConfig(kind="bpe", vocab_size=2000, min_count=1, bytes=None, joint=True)
    encoded = EncodedCorpus(text, f"generated {count}", lambda _: None)
    tokenizer = encoded.tokenizer(["source", "target"], config)
    pairs = PairSet(*(encoded.lines("train", side, tokenizer) for side in ("source", "target")), 64, cut=False)
    overlap(text)
    counts = pairs.counts()
    rows = 0
    for tokens in (None, 4096):
        order = Order(
            lambda epoch, tokens=tokens: pairs.train_plan(1, epoch, None if tokens else 64, tokens), limit=300
        )
        rows += sum(len(batch.index_B) for batch in Loader(pairs, order))
        pairs.padding(pairs.train_plan(1, 0, None if tokens else 64, tokens))
    print(
        json.dumps(
            {
                **{"megabytes": watch.most - watch.before, "pairs": len(pairs), "tokens": counts["tokens"]},
                **{
                    "rows": rows,
                    "seconds": time.monotonic() - began,
                    "kept": len(list((folder / "cache").rglob("ids"))),
                },
            }
        )
    )


main(int(sys.argv[1]), Path(sys.argv[2]))
