"""What the configs of older records lack: keys that came later, each with the value that the code before it had.

So a record stays readable, and gives the same numbers when it is trained again. A config that is composed from ``conf/``
is never completed: there every key must stand.
"""

from typing import Any

ADDED: dict[tuple[str, str], Any] = {
    ("trainer", "devices"): 1,  # before it, one process trained every run
    ("trainer", "accumulate"): 1,
    ("optimizer", "eps"): 1e-8,
    ("optimizer", "decay_embeddings"): False,
    ("backbone", "scale_embedding"): True,
    ("backbone", "bias"): True,
    ("backbone", "init"): "xavier",
    ("trainer", "max_time"): None,
    ("trainer", "patience"): None,
    ("trainer", "average_last"): None,
}
"""Section and key, and what its absence means."""
ADDED_TO: dict[tuple[str, str, str], Any] = {
    ("task", "translation", "bleu_tokenize"): "13a",
    ("task", "translation", "bleu_lowercase"): False,
    ("task", "language_model", "eval_stride"): None,
}
"""Section, its name, and key: likewise where sections of other names have no such key."""


def completed(values: Any) -> Any:
    """Return ``values``, the config of a record, with the keys that came after it; what is no config stays as it is."""
    if not isinstance(values, dict):
        return values
    values = dict(values)
    for (section, key), value in ADDED.items():
        if isinstance(values.get(section), dict):
            values[section] = {key: value, **values[section]}
    for (section, name, key), value in ADDED_TO.items():
        if isinstance(values.get(section), dict) and values[section].get("name") == name:
            values[section] = {key: value, **values[section]}
    return values
