"""The record of a run: a folder that explains itself, written whole, without pickle, sealed when the run has finished.

files        writing whole or not at all; reading nothing outside a folder, nothing endless
run          a run read back, its seal; finding runs
logger       writing a record, as a Lightning logger
log          ``run.log`` and the lock on it
code         sources, versions and files of data, which decide a run's numbers besides its config
provenance   versions, code and machine; what differs between two of them; no secrets
weights      files of weights (safetensors); ``npz`` reads archives of arrays
archive      finished runs in one compact file, and back
"""
# ruff: noqa: F401, I001  (what the other rooms use)

import importlib
from typing import TYPE_CHECKING, Any

from attncompare.config.plain_values import safe_json, safe_yaml
from attncompare.record.archive import pack, unpack
from attncompare.record.code import data_files, made_with, other_facts
from attncompare.record.files import LIMIT, MEBIBYTE, WEIGHTS_LIMIT, create_folder, digest, new_folder, read_inside
from attncompare.record.files import PAGE_MARK, require_no_way_out, require_replaceable, require_writable
from attncompare.record.files import write_bytes, write_json, write_json_lines, write_text, write_yaml
from attncompare.record.log import RunLock, RunLog, is_locked
from attncompare.record.provenance import MACHINE, Change, changes, environment, processor, recorded_threads, said
from attncompare.record.run import (
    AVERAGED_WEIGHTS,
    BEST_WEIGHTS,
    LAST_WEIGHTS,
    REFERENCE,
    REPRODUCE,
    RUN_MARKS,
    SWEEP_FILE,
    SWEEP_LIMIT,
    WORDS,
    Run,
    Shared,
    State,
    asked_in_order,
    find_runs,
    gone_note,
    how_to_resume,
    is_reference,
    is_run,
    mark_lost,
    not_started,
    run_folders,
    seal,
    shared_runs,
)

if TYPE_CHECKING:
    from attncompare.record.logger import RecordLogger
    from attncompare.record.weights import load_weights, require_weights_of, save_weights, weights_from

_HEAVY = {"RecordLogger": "logger"} | dict.fromkeys(
    ("load_weights", "require_weights_of", "save_weights", "weights_from"), "weights"
)


def __getattr__(name: str) -> Any:
    """Import torch and Lightning only when something that needs them is asked for."""
    if name not in _HEAVY:
        raise AttributeError(f"module 'attncompare.record' has no attribute '{name}'")
    return getattr(importlib.import_module(f"attncompare.record.{_HEAVY[name]}"), name)
