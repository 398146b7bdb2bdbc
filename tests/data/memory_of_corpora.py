"""How much memory a corpus takes; run as a program in a process of its own: ``memory_of_corpora.py FOLDER CACHE [KEY=VALUE]``.

Counted is memory of the process's own. Files that are mapped into memory are not: the system drops those when it needs room.
"""

import json
import re
import sys
import threading
from pathlib import Path


def own_memory():
    """Return the bytes of the process that stand in no file."""
    return int(re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


class Peak:
    """The most own memory while the block runs, looked at every few milliseconds."""

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

    @property
    def growth(self):
        return self.most - self.start


def write_pairs(folder, count):
    """Write ``count`` pairs of about 130 bytes as files of lines, with small val and test, and a small corpus beside."""
    if count > 1000:
        (folder / "small").mkdir()
        write_pairs(folder / "small", 1000)
    for split, rows in {"train": count, "val": 1000, "test": 1000}.items():
        for language in ("en", "de"):
            with (folder / f"{split}.{language}").open("w") as file:
                for i in range(rows):
                    number = i * 7919 % count  # some rows of val stand in train
                    file.write(f"{language} {number} the quick brown fox jumps over the lazy dog number {number}\n")


def main(folder, cache, *changes):
    import datasets
    from corpus_configs import data_config

    from attncompare.data.corpora import load_corpus
    from attncompare.data.corpus import fingerprint
    from attncompare.data.overlap import overlap

    datasets.config.HF_DATASETS_CACHE = cache
    changed = {key: json.loads(value) for key, _, value in (change.partition("=") for change in changes)}
    small = Path(folder, "small")
    overlap(
        load_corpus(data_config("pairs", path=str(small), **changed), 1)
    )  # what the libraries take at their first use
    growth = {}
    with Peak() as peak:
        corpus = load_corpus(data_config("pairs", path=folder, **changed), 1)
    growth["load"] = peak.growth
    for name, work in (
        ("fingerprint", lambda: fingerprint(corpus)),
        ("overlap", lambda: overlap(corpus)),
        ("batches", lambda: sum(len(batch["source"]) for batch in corpus.batches("train", ["source", "target"]))),
    ):
        with Peak() as peak:
            result = work()
        growth[name] = peak.growth
        print(name, result, file=sys.stderr)
    print(json.dumps({"rows": len(corpus.splits["train"]), "growth": growth}))


if __name__ == "__main__":
    main(*sys.argv[1:])
