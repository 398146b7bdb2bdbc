"""The run record; this file only gives the names of the room until it is rebuilt."""

import importlib
from typing import Any

_HOMES = {
    "files": ("write_bytes", "write_json", "write_text", "write_yaml", "require_replaceable"),
    "folders": ("create_folder", "new_folder", "require_writable"),
    "reading": ("MEBIBYTE", "WEIGHTS_LIMIT", "read_inside", "safe_json", "safe_yaml"),
    "record": ("AVERAGED_WEIGHTS", "BEST_WEIGHTS", "LAST_WEIGHTS", "RUN_MARKS", "Run", "State", "find_runs", "is_run", "mark_lost"),
    "sweeps": ("SWEEP_FILE", "not_started"),
    "lock": ("RunLock",),
    "seal": ("seal",),
    "weights": ("load_weights", "require_weights_of", "save_weights", "weights_from"),
    "words": ("how_to_resume",),
}


def __getattr__(name: str) -> Any:
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"attncompare.record.{home}"), name)
