"""Records from strangers: files that would run something, unfold without end, or lead out of their folder."""

import functools
import io
import json
import os
import pickle
import shutil
import struct
import zipfile

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from attncompare.record import seal

SECRET = "the-secret-of-somebody-else"


class Payload:
    """What a pickle runs when it is read."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (os.system, (f"touch {self.canary}",))


# Each of these returns a change of a record's folder; {canary} in a text stands for the canary's path.
def edited(name, edit, read=json.loads, write=json.dumps):
    def change(folder, canary):
        values = read((folder / name).read_text())
        edit(values)
        (folder / name).write_text(write(values))

    return change


def in_config(**changes):
    """Change the config by dotted key, with ``__`` for the dot."""

    def edit(values):
        for key, value in changes.items():
            *sections, last = key.split("__")
            functools.reduce(dict.__getitem__, sections, values)[last] = value

    return edited("config.yaml", edit, yaml.safe_load, yaml.safe_dump)


def in_tokenizer(edit):
    return edited("tokenizer.json", edit)


def as_text(name, text, behind=False):
    def change(folder, canary):
        before = (folder / name).read_text() if behind else ""
        (folder / name).write_text(before + text.replace("{canary}", str(canary)))

    return change


def append(name, text):
    return as_text(name, text, behind=True)


def metrics_row(cell):
    def change(folder, canary):
        text = (folder / "metrics.csv").read_text()
        cells = [cell] * (text.partition("\n")[0].count(",") + 1)
        (folder / "metrics.csv").write_text(text + ",".join(cells) + "\n")

    return change


def pickled(name):
    return lambda folder, canary: (folder / name).write_bytes(pickle.dumps(Payload(canary)))


def torch_file(name):
    """The same as torch writes it: a zip with a pickle inside."""

    def change(folder, canary):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Payload(canary), protocol=2))

    return change


def weights_header(header, length=None):
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text) if length is None else length) + text + bytes(64)
    return lambda folder, _: (folder / "checkpoints/best.safetensors").write_bytes(content)


def nan_weights(folder, canary):
    file = folder / "checkpoints/best.safetensors"
    save_file({name: torch.full_like(tensor, torch.nan) for name, tensor in load_file(file).items()}, file)


def maps_file(folder):
    *_, file = sorted(folder.glob("maps/step-*.npz"))
    return file


def with_member(name, content):
    """Add a member to the archive of maps."""

    def change(folder, canary):
        data = content(canary) if callable(content) else content
        with zipfile.ZipFile(maps_file(folder), "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(name, data)

    return change


def npy(array_header, data=b""):
    """An array's file whose header says whatever it likes."""
    text = (array_header + "\n").encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def object_array(canary):
    file = io.BytesIO()
    np.save(file, np.array([Payload(canary)], dtype=object), allow_pickle=True)
    return file.getvalue()


def replaced_weights(header):
    """Give the weights of the first map another header."""

    def change(folder, canary):
        with zipfile.ZipFile(maps_file(folder)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members[next(name for name in members if name.endswith("weights.npy"))] = npy(header)
        with zipfile.ZipFile(maps_file(folder), "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return change


def linked(name):
    """Make ``name`` a link to somebody's secret."""

    def change(folder, canary):
        secret = folder.parent / "secret"
        secret.write_text(SECRET + "\n")
        (folder / name).unlink()
        (folder / name).symlink_to(secret)

    return change


def linked_folder(name):
    def change(folder, canary):
        shutil.move(folder / name, folder.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent / "elsewhere")

    return change


BOMB = "a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b]\n"
PRE_TOKENIZER = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
NORMALIZER = {"type": "Replace", "pattern": {"Regex": "(x+x+)+y"}, "content": ""}
TENSOR = {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 2**42]}
EVIL_TARGET = "x:\n  _target_: os.system\n  command: touch {canary}\n"

ATTEND = ("attend", "{run}", "a b c")
COMPARE = ("compare", "{run}")
# What is changed before the stranger seals the record again, and the command that reads it.
SEALED = {
    "config-with-a-target": (append("config.yaml", EVIL_TARGET), COMPARE),
    "config-with-a-target-inside": (in_config(attention___target_="os.system"), ATTEND),
    "config-with-an-object": (as_text("config.yaml", "!!python/object/apply:os.system ['touch {canary}']\n"), COMPARE),
    "config-with-a-bomb-of-anchors": (as_text("config.yaml", BOMB), COMPARE),
    "config-nested-deeply": (as_text("config.yaml", 100_000 * "["), COMPARE),
    "config-with-an-environment-variable": (in_config(notes="${oc.env:HOME}"), COMPARE),
    "config-with-a-name-upwards": (in_config(name="../../x"), COMPARE),
    "config-with-a-nul": (in_config(runs="a\0b"), COMPARE),
    "config-with-a-label-of-html": (in_config(attention__name="<script>alert(1)</script>"), COMPARE),
    "config-with-a-label-for-a-terminal": (in_config(attention__name="\x1b]0;x\x07"), COMPARE),
    "config-with-a-huge-width": (in_config(backbone__d_model=10**9), ATTEND),
    "config-with-many-layers": (in_config(backbone__layers=10**9), ATTEND),
    "config-with-many-heads": (in_config(attention__heads=10**17), ATTEND),
    "config-with-a-long-sequence": (in_config(task__max_length=10**12), ATTEND),
    "config-with-a-number-beyond-64-bits": (in_config(seed=10**30), COMPARE),
    "summary-nested-deeply": (append("summary.json", 100_000 * "["), COMPARE),
    "summary-with-a-huge-number": (edited("summary.json", lambda v: v.update(x=10**4000)), COMPARE),
    "summary-without-a-best-step": (edited("summary.json", lambda v: v.update(best_step=None)), COMPARE),
    "summary-with-a-text-for-a-step": (edited("summary.json", lambda v: v.update(steps="many")), COMPARE),
    "summary-without-a-fingerprint": (edited("summary.json", lambda v: v.update(data={})), COMPARE),
    "metrics-with-nan-for-a-step": (metrics_row("nan"), COMPARE),
    "metrics-with-an-infinite-step": (metrics_row("inf"), COMPARE),
    "metrics-without-a-step": (metrics_row(""), COMPARE),
    "weights-of-nan": (nan_weights, ATTEND),
    "metrics-with-a-giant-field": (append("metrics.csv", "1,0," + 200_000 * "1" + "\n"), COMPARE),
    "metrics-with-huge-numbers": (metrics_row(4000 * "9"), COMPARE),
    "predictions-nested-deeply": (append("predictions.jsonl", 100_000 * '{"a":' + "\n"), COMPARE),
    "predictions-as-a-pickle": (pickled("predictions.jsonl"), COMPARE),
    "predictions-linked-to-a-secret": (linked("predictions.jsonl"), COMPARE),
    "metrics-linked-to-a-secret": (linked("metrics.csv"), COMPARE),
    "config-linked-to-a-secret": (linked("config.yaml"), COMPARE),
    "summary-linked-to-a-secret": (linked("summary.json"), COMPARE),
    "tokenizer-linked-to-a-secret": (linked("tokenizer.json"), ATTEND),
    "weights-linked-to-a-secret": (linked("checkpoints/best.safetensors"), ATTEND),
    "maps-in-a-linked-folder": (linked_folder("maps"), COMPARE),
    "checkpoints-in-a-linked-folder": (linked_folder("checkpoints"), ATTEND),
    "tokenizer-nested-deeply": (as_text("tokenizer.json", 100_000 * '{"model":'), ATTEND),
    "tokenizer-with-a-regular-expression": (in_tokenizer(lambda v: v.update(pre_tokenizer=PRE_TOKENIZER)), ATTEND),
    "tokenizer-with-a-normalizer": (in_tokenizer(lambda v: v.update(normalizer=NORMALIZER)), ATTEND),
    "tokenizer-that-pads": (in_tokenizer(lambda v: v.update(padding={"strategy": {"Fixed": 2**40}})), ATTEND),
    "tokenizer-with-other-specials": (in_tokenizer(lambda v: v["added_tokens"][0].update(content="a")), ATTEND),
    "tokenizer-with-ids-beyond": (in_tokenizer(lambda v: v["model"]["vocab"].update(zz=2**31)), ATTEND),
    "tokenizer-of-another-kind": (in_tokenizer(lambda v: v["model"].update(type="Unigram")), ATTEND),
    "tokenizer-as-a-pickle": (pickled("tokenizer.json"), ATTEND),
    "weights-as-a-pickle": (pickled("checkpoints/best.safetensors"), ATTEND),
    "weights-as-torch-writes-them": (torch_file("checkpoints/best.safetensors"), ATTEND),
    "weights-that-claim-terabytes": (weights_header({"x": TENSOR}), ATTEND),
    "weights-with-an-endless-header": (weights_header({}, length=2**62), ATTEND),
    "weights-with-a-deep-header": (weights_header(json.loads(500 * "[" + 500 * "]")), ATTEND),
    "maps-as-a-pickle": (lambda folder, canary: pickled(maps_file(folder))(folder, canary), COMPARE),
    "maps-with-a-pickled-array": (with_member("0/x/weights.npy", object_array), COMPARE),
    "maps-that-unfold-into-a-gigabyte": (with_member("x.npy", bytes(300 * 2**20)), COMPARE),
    "maps-that-claim-terabytes": (
        replaced_weights("{'descr': '<f2', 'fortran_order': False, 'shape': (1048576, 1048576)}"),
        COMPARE,
    ),
    "maps-with-code-in-a-header": (replaced_weights("__import__('os').system('true')"), COMPARE),
    "maps-with-a-negative-shape": (
        replaced_weights("{'descr': '<f2', 'fortran_order': False, 'shape': (-1,)}"),
        COMPARE,
    ),
    "maps-with-a-path-upwards": (with_member("../../x.npy", b"x"), COMPARE),
    "maps-with-a-program": (with_member("setup.py", b"x"), COMPARE),
    "maps-with-one-more-array": (
        with_member("9/x.npy", npy("{'descr': '|u1', 'fortran_order': False, 'shape': ()}", b"1")),
        COMPARE,
    ),
}


@pytest.mark.parametrize("case", SEALED)
def test_a_hostile_record_is_refused(case, downloaded, refused, canary):
    change, command = SEALED[case]
    change(downloaded, canary)
    seal(downloaded)  # a stranger can do that too
    said = refused(*(word.format(run=downloaded) for word in command))
    assert str(downloaded) in said and SECRET not in said
    assert not (downloaded.parent / "report.html").exists()


def pipe(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)


def terabyte(folder, name):
    os.truncate(folder / name, 2**40)  # takes no room on the disk


# What cannot be sealed: these would never end.
ENDLESS = [
    (pipe, "metrics.csv", COMPARE),
    (pipe, "checkpoints/best.safetensors", ATTEND),
    (pipe, "tokenizer.json", ATTEND),
    (terabyte, "predictions.jsonl", COMPARE),
    (terabyte, "summary.json", COMPARE),
    (terabyte, "checkpoints/best.safetensors", ATTEND),
    (terabyte, "manifest.json", COMPARE),
]


@pytest.mark.parametrize(("change", "name", "command"), ENDLESS)
def test_a_file_without_end_is_refused(change, name, command, downloaded, refused):
    change(downloaded, name)
    assert str(downloaded) in refused(*(word.format(run=downloaded) for word in command))


def test_the_same_record_unchanged_is_read(downloaded, cli):
    seal(downloaded)
    for command in (ATTEND, COMPARE):
        code, _, err = cli(*(word.format(run=downloaded) for word in command))
        assert code == 0, err


def test_a_payload_would_run_if_it_were_unpickled(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()
