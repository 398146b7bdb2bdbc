"""Prints the memory that each step takes for generated pairs: ``memory_of_pairs.py FOLDER PAIRS [KEY=VALUE]``, as JSON in MB.

Counted is memory of the process's own, at its most; mapped files are the system's to take back.
"""

import json
import re
import sys
import threading
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

WORDS = "the quick brown fox jumps over the lazy dog number"


def own_memory():
    return int(re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1000


@contextmanager
def peak(took):
    """Append the most own memory that the block takes, read every few milliseconds."""
    done, seen = threading.Event(), [own_memory()]
    watch = threading.Thread(target=lambda: [seen.append(own_memory()) for _ in iter(lambda: done.wait(0.005), True)])
    watch.start()
    yield
    done.set()
    watch.join()
    took.append(max(seen) - seen[0])


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
    from attncompare.data.encoding import EncodedCorpus, encode_lines
    from attncompare.data.kinds.parallel import PairSet

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
    rows = PairSet(
        *(encoded.arrays("train", [side], tokenizer, encode_lines) for side in ("source", "target")), 64, cut=False
    )
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
    work, names, took = steps(Path(folder, "large"), changed), [], []
    while names[-1:] != [None]:
        with peak(took):
            names.append(next(work, None))
    print(json.dumps(dict(zip(names[:-1], took, strict=False))))


if __name__ == "__main__":
    main(*sys.argv[1:])
