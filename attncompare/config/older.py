"""What the configs of older records lack: keys that came later, each with the value that the code before it had.

So a record stays readable, and gives the same numbers when it is trained again. A config that is composed from ``conf/``
is never completed: there every key must stand.
"""

from typing import Any

ADDED: dict[tuple[str, ...], Any] = {
    ("trainer", "devices"): 1,  # before it, one process trained every run
    ("data", "batch_tokens"): None,  # before it, batches were counted in rows
    ("data", "tokenizer", "bytes"): None,  # before it, bpe was made of bytes
    ("data", "tokenizer", "joint"): True,  # before it, both languages shared one vocabulary
    ("trainer", "accumulate"): 1,
    ("optimizer", "eps"): 1e-8,
    ("optimizer", "decay_embeddings"): False,
    ("backbone", "scale_embedding"): True,
    ("backbone", "bias"): True,
    ("backbone", "init"): "xavier",
    ("trainer", "max_time"): None,
    ("trainer", "patience"): None,
    ("trainer", "average_last"): None,
    ("trainer", "compile"): False,
}
"""Sections and key, and what its absence means."""

ADDED_TO: dict[tuple[str, str], dict[str, Any]] = {
    ("data", "pairs"): {  # before it, pairs came from folders of text files alone, and empty lines were refused
        "hub": None,
        "subset": None,
        "splits": {"train": "train", "val": "val", "test": "test"},
        "val_fraction": None,
        "test_fraction": None,
        "keep_empty": False,
    },
    ("task", "translation"): {
        "beam": 1,
        "length_penalty": 1.0,
        "bleu_tokenize": "13a",
        "bleu_lowercase": False,
    },
    ("task", "language_model"): {"eval_stride": None},
}
"""The same for sections whose keys follow from their name: section and name, and the keys."""


def completed(values: Any) -> Any:
    """Return ``values``, the config of a record, with the keys that came after it; what is no config stays as it is."""
    if not isinstance(values, dict):
        return values
    for path, value in ADDED.items():
        values = _with(values, path, value)
    for (section, name), keys in ADDED_TO.items():
        if isinstance(values.get(section), dict) and values[section].get("name") == name:
            values = {**values, section: {**keys, **values[section]}}
    return values


def _with(values: Any, path: tuple[str, ...], value: Any) -> Any:
    """Return ``values`` with the key at ``path``, where its section stands and lacks it."""
    if not isinstance(values, dict):
        return values
    if len(path) == 1:
        return {path[0]: value, **values}
    return {**values, path[0]: _with(values[path[0]], path[1:], value)} if path[0] in values else values
