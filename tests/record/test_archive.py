"""Archives of finished runs: small, sealed, the same bytes each time; unpacked they are run folders and nothing else."""

import io
import lzma
import shutil
import tarfile

import pytest
from commands import SMOKE, composed_config

from attncompare.errors import Refused
from attncompare.record import Run, pack, unpack, write_json
from attncompare.training.run import train


@pytest.fixture(scope="module")
def archive(finished_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("archives") / "small.tar.xz"
    pack([finished_run.path], path)
    return path


def test_an_unpacked_run_tells_the_same_without_weights_and_maps(finished_run, archive, tmp_path):
    (path,) = unpack(archive, tmp_path).iterdir()
    assert path == tmp_path / "small" / "reverse-multihead-s1"
    run = Run.open(path).require_finished()
    for told in (lambda run: run.config, lambda run: run.summary, Run.metrics, Run.predictions, Run.items):
        assert told(run) == told(finished_run)
    assert run.map_files() == [] and "checkpoints/best.safetensors" in run.dropped
    with pytest.raises(Refused, match="left out"):
        run.read("checkpoints/best.safetensors")
    (path / "metrics.csv").write_text("step,epoch\n")
    with pytest.raises(Refused, match="metrics"):
        run.metrics()
    with pytest.raises(Refused, match="File exists"):
        unpack(archive, tmp_path)


def test_what_is_packed_again_stays_sealed_by_the_training(finished_run, archive, tmp_path):
    assert archive.stat().st_size == pack([finished_run.path], tmp_path / "small.tar.xz")
    assert archive.read_bytes() == (tmp_path / "small.tar.xz").read_bytes()
    run = unpack(archive, tmp_path, only="reverse-multihead-s1")
    pack([run], tmp_path / "fewer.tar.xz", drop=["predictions.jsonl"])
    (fewer,) = (Run.open(path) for path in unpack(tmp_path / "fewer.tar.xz", tmp_path).iterdir())
    assert fewer.predictions() == [] and fewer.items() == finished_run.items()
    assert {"maps/index.html", "predictions.jsonl"} <= set(fewer.dropped)


def test_only_finished_runs_with_names_of_their_own_are_packed(finished_run, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(finished_run.path, tmp_path / "runs" / name, ignore=shutil.ignore_patterns("wandb"))
    with pytest.raises(Refused, match="another run"):
        pack([tmp_path / "runs"], tmp_path / "a.tar.xz")
    write_json(tmp_path / "runs" / "one" / "summary.json", {**finished_run.summary, "state": "failed"})
    with pytest.raises(Refused, match="not finished"):
        pack([tmp_path / "runs" / "one"], tmp_path / "a.tar.xz")


def test_runs_of_several_backbones_are_named_by_them(finished_run, tmp_path):
    settings = [word for word in SMOKE if not word.startswith("backbone.d_ff")]
    other = train(composed_config(tmp_path / "runs", [*settings, "backbone=recurrent", "attention=multihead"]))
    pack([finished_run.path, other.path], tmp_path / "both.tar.xz")
    names = {path.name for path in unpack(tmp_path / "both.tar.xz", tmp_path).iterdir()}
    assert names == {"reverse-transformer-multihead-s1", "reverse-recurrent-multihead-s1"}


def test_runs_whose_names_differ_in_the_heads_alone_are_named_by_them(finished_run, tmp_path):
    heads = finished_run.config.attention.heads
    other = train(composed_config(tmp_path / "runs", [*SMOKE, "attention=multihead", f"attention.heads={2 * heads}"]))
    pack([finished_run.path, other.path], tmp_path / "both.tar.xz")
    names = {path.name for path in unpack(tmp_path / "both.tar.xz", tmp_path).iterdir()}
    assert names == {f"reverse-multihead-h{heads}-s1", f"reverse-multihead-h{2 * heads}-s1"}


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, link, size
    return entry


HOSTILE = {
    "upwards": [member("evil/run/../../../out")],
    "absolute": [member("/evil/run/out")],
    "another-top": [member("other/run/out")],
    "no-run": [member("evil/out")],
    "symbolic-link": [member("evil/run/out", tarfile.SYMTYPE, "/etc/passwd")],
    "hard-link": [member("evil/run/a"), member("evil/run/out", tarfile.LNKTYPE, "evil/run/a")],
    "link-then-file": [member("evil/run", tarfile.SYMTYPE, "/tmp"), member("evil/run/out")],
    "device": [member("evil/run/out", tarfile.CHRTYPE)],
    "pipe": [member("evil/run/out", tarfile.FIFOTYPE)],
    "folder": [member("evil/run/out", tarfile.DIRTYPE)],
    "twice": [member("evil/run/a"), member("evil/run/a")],
    "for-a-terminal": [member("evil/run/\x1b[2J")],
    "bomb": [member("evil/run/a", size=257 * 2**20)],
    "empty": [],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_in_one_line_and_writes_nothing_outside(case, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in HOSTILE[case]:
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    (tmp_path / "evil.tar.xz").write_bytes(lzma.compress(buffer.getvalue(), preset=0))
    with pytest.raises(Refused) as refused:
        unpack(tmp_path / "evil.tar.xz", tmp_path / "into")
    assert str(refused.value).isprintable() and "evil.tar.xz" in str(refused.value)
    assert not list(tmp_path.rglob("out")) and {path.name for path in tmp_path.iterdir()} <= {"evil.tar.xz", "into"}


def test_what_is_no_archive_is_refused(archive, tmp_path):
    (tmp_path / "evil.tar.xz").write_bytes(b"nothing")
    (tmp_path / "small.tar.xz").write_bytes(archive.read_bytes()[:-20])
    for name in ("evil", "small", "missing"):
        with pytest.raises(Refused, match=name):
            unpack(tmp_path / f"{name}.tar.xz", tmp_path / "into")
    with pytest.raises(Refused, match="reverse-multihead-s1"):
        unpack(archive, tmp_path / "into", only="another")
