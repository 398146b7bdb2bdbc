"""Prints the memory that each step takes for generated pairs: ``memory_of_pairs.py FOLDER PAIRS [KEY=VALUE]``, as JSON in MB.

Counted is memory of the process's own, at its most; mapped files are the system's to take back.
"""

import json
import re
import sys
import threading
from itertools import islice
from pathlib import Path

WORDS = "the quick brown fox jumps over the lazy dog number"


def own_memory():
    return int(re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1000


class Peak:
    """The most own memory while the block runs, read every few milliseconds."""

    def __enter__(self):
        self.start = self.most = own_memory()
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def _look(self):
        while not self._done.wait(0.005):
            self.most = max(self.most, own_memory())

    def __exit__(self, *_):
        self._done.set()
        self._watch.join()


def write_pairs(folder, count):
    folder.mkdir(parents=True)
    for split, rows in {"train": count, "val": 1000, "test": 1000}.items():
        for language in ("en", "de"):
            with (folder / f"{split}.{language}").open("w") as file:
                for i in range(rows):
                    number = i * 7919 % count  # some rows of val stand in train
                    file.write(f"{language} {number} {WORDS} {number}\n")


def steps(path, changes):
    """Yield the name of each step of loading and encoding pairs after it was done."""
    from dataset_configs import data_config, dataset

    from attncompare.data.batches import BatchLoader
    from attncompare.data.corpus import fingerprint, overlap
    from attncompare.data.encoding import EncodedCorpus, PairSet

    changes = {"tokenizer": {"vocab_size": 300}, **changes}
    corpus = dataset("pairs", path=str(path), **changes).load()
    yield "load"
    print_of_data = fingerprint(corpus)
    yield "fingerprint"
    overlap(corpus)
    yield "overlap"
    if "val_fraction" in changes:
        return
    encoded = EncodedCorpus(corpus, print_of_data, lambda _: None)
    tokenizer = encoded.tokenizer(["source", "target"], data_config("pairs", path="x", **changes).tokenizer)
    rows = PairSet(*(encoded.lines("train", side, tokenizer) for side in ("source", "target")), 64, cut=False)
    rows.counts()
    yield "encoding"
    for tokens in (None, 4096):
        plan = rows.train_plan(1, 0, None if tokens else 64, tokens)
        rows.padding(plan)
        for _ in islice(BatchLoader(rows, lambda _, plan=plan: plan), 300):
            pass
    yield "batches"


def main(folder, count, *changes):
    import datasets

    datasets.config.HF_DATASETS_CACHE = Path(folder, "cache")
    changed = {key: json.loads(value) for key, _, value in (change.partition("=") for change in changes)}
    for name, rows in {"small": 1000, "large": int(count)}.items():
        write_pairs(Path(folder, name), rows)
    list(steps(Path(folder, "small"), changed))  # what the libraries take at their first use
    work, took = steps(Path(folder, "large"), changed), {}
    while True:
        with Peak() as peak:
            name = next(work, None)
        if name is None:
            break
        took[name] = peak.most - peak.start
    print(json.dumps(took))


if __name__ == "__main__":
    main(*sys.argv[1:])
