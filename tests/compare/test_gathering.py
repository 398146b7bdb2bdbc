import os
import shutil

import pytest

from attncompare.compare import compare_groups, gather
from attncompare.compare.gathering import left_out_note
from attncompare.errors import Refused
from attncompare.record import RunLock, write_yaml


def refusal(*paths):
    with pytest.raises(Refused) as error:
        gather(paths)
    assert "\n" not in str(error.value)
    return str(error.value)


def spoil(run, name="metrics.csv"):
    file = run.path / name
    file.write_bytes(file.read_bytes()[:-1] + b"?")


def test_what_a_sweep_could_not_finish_is_named_and_left_out(make_run, tmp_path):
    finished = [make_run("sweep/a", "attention=dot"), make_run("sweep/b")]
    make_run("sweep/c", "attention=additive", state="failed", message="the loss is nan")
    make_run("sweep/d", "attention=causal", state="interrupted", message="interrupted at step 7")
    make_run("sweep/e", "attention=causal", "seed=2", state="running")
    gathered = gather([tmp_path / "runs" / "sweep"])
    assert [run.path for run in gathered.runs] == [run.path for run in finished]
    assert [(one.path.name, one.state, one.reason) for one in gathered.left_out] == [
        ("c", "failed", "the loss is nan"),
        ("d", "interrupted", "interrupted at step 7"),
        ("e", "running", "it was killed"),
    ]
    note = left_out_note(gathered.left_out)
    assert note.startswith("3 runs were left out: ") and "c: failed (the loss is nan)" in note
    assert note.endswith("; the same attncompare train -m trains again what did not finish")


FILES = "summary.json config.yaml metrics.csv predictions.jsonl items.jsonl environment.json maps/step-00000100.npz"


@pytest.mark.parametrize("name", FILES.split())
def test_a_damaged_record_of_a_sweep_is_named_and_left_out(make_run, sample_maps, tmp_path, name):
    make_run("sweep/a")
    bad = make_run("sweep/b", "attention=dot", maps=sample_maps(), items=[{"id": 0, "loss": [1.0, 2]}])
    spoil(bad, name)
    (lost,) = gather([tmp_path / "runs" / "sweep"]).left_out
    assert (lost.path, lost.state) == (bad.path, "damaged") and name in lost.reason
    assert str(bad.path) not in lost.reason  # named once
    assert name in refusal(bad.path) and name in refusal(bad.path.parent, bad.path)


def test_a_run_that_is_being_trained_is_left_out_and_left_alone(make_run, tmp_path):
    make_run("sweep/a")
    lock = RunLock(make_run("sweep/b", "attention=dot", state="running").path)
    (lost,) = gather([tmp_path / "runs" / "sweep"]).left_out
    lock.release()
    assert lost.reason == "it is being trained right now" and "trains again" not in left_out_note([lost])


def test_a_sweep_of_which_nothing_is_left_is_refused_with_its_first_reasons(make_run, tmp_path):
    for seed in range(1, 8):
        make_run(f"sweep/{seed}", f"seed={seed}", state="failed", message="the loss is nan")
    message = refusal(tmp_path / "runs" / "sweep")
    assert message.startswith("none of the 7 runs can be compared: ") and message.endswith("; and 2 more")
    assert "1: failed (the loss is nan)" in message


def test_an_empty_sweep_and_a_missing_folder_are_refused(tmp_path):
    (tmp_path / "sweep" / "output").mkdir(parents=True)
    assert "neither a run nor a folder that holds runs" in refusal(tmp_path / "sweep")
    assert "no such folder" in refusal(tmp_path / "nowhere")


def test_a_failed_run_that_was_trained_again_on_the_same_data_goes_unmentioned(make_run, tmp_path):
    make_run("sweep/a", state="failed")
    make_run("sweep/b")
    assert gather([tmp_path / "runs" / "sweep"]).left_out == ()
    make_run("sweep/c", state="failed", fingerprint="0" * 64)
    assert [one.path.name for one in gather([tmp_path / "runs" / "sweep"]).left_out] == ["c"]


def test_a_message_cannot_write_to_the_terminal(make_run, tmp_path):
    make_run("sweep/a")
    make_run("sweep/b", "seed=2", state="failed", message="\x1b]0;owned\x07\nsecond line")
    note = left_out_note(gather([tmp_path / "runs" / "sweep"]).left_out)
    assert note.isprintable() and "owned" in note


def test_runs_left_out_of_a_task_that_is_not_compared_are_named_all_the_same(make_run, tmp_path):
    make_run("sweep/a")
    make_run("sweep/b", "task=language_model", state="failed")
    gathered = gather([tmp_path / "runs" / "sweep"])
    (comparison,) = compare_groups(gathered.runs, left_out=gathered.left_out)
    assert [one.path.name for one in comparison.left_out] == ["b"]


def test_a_record_that_lost_its_summary_is_named_too(make_run, tmp_path):
    make_run("sweep/a")
    bad = make_run("sweep/b", "attention=dot")
    (bad.path / "summary.json").unlink()
    (lost,) = gather([tmp_path / "runs" / "sweep"]).left_out
    assert lost.path == bad.path and lost.state == "damaged" and lost.task is None


def test_the_same_run_by_two_paths_is_one(make_run, tmp_path):
    run = make_run("sweep/a")
    assert len(gather([run.path, tmp_path / "runs" / "sweep", tmp_path / "runs"]).runs) == 1


def labels_of(gathered):
    """Return the variants of each task in the order of the table, with their colors."""
    return [[(one.label, one.color) for one in each.variants] for each in compare_groups(gathered.runs)]


def test_rows_and_colors_do_not_depend_on_which_run_began_first(make_run, tmp_path):
    started = ("causal", "additive", "multihead", "dot")
    for number, name in enumerate(started):
        for place, task in enumerate(("translation", "language_model")):
            began = number if place else len(started) - number
            make_run(f"sweep/{place}{began}-{name}", f"task={task}", f"attention={name}")
    for heads in (12, 2):
        make_run(f"sweep/9-h{heads}", "attention=multihead", f"attention.heads={heads}", f"name=h{heads}")
    folder = tmp_path / "runs/sweep"
    translation, language_model = labels_of(gather([folder]))
    names = ["additive", "causal", "dot", "multihead heads=2", "multihead", "multihead heads=12"]
    assert [label for label, _ in translation] == names and len(set(translation)) == len(names)
    assert [label for label, _ in language_model] == ["additive", "causal", "dot", "multihead"]
    assert dict(translation).items() >= dict(language_model).items()
    # As asked for: by the paths, and in the folder of a sweep by its file.
    paths = [next(folder.glob(f"*-{name}")) for name in ("dot", "additive")]
    assert [label for label, _ in labels_of(gather(paths))[0]] == ["dot", "additive"]
    asked = sorted(gather([folder]).runs, key=lambda run: started.index(run.config.attention.name))
    configs = [run.config.hash() for run in asked]
    write_yaml(folder / "sweep.yaml", {"runs": [[] for _ in configs], "configs": configs})
    for found in labels_of(gather([folder])):
        assert list(dict.fromkeys(label.split()[0] for label, _ in found)) == list(started)


def test_reference_runs_take_part_only_where_their_folder_is_given(make_run, tmp_path):
    runs = tmp_path / "runs"
    own = make_run("mine/a")
    beside, inside = make_run("five/a", "attention=dot"), make_run("reference/six/a", "attention=additive")
    (runs / "reference/five.tar.xz").touch()
    gathered = gather([runs])
    assert [run.path for run in gathered.runs] == [own.path]
    assert {folder.resolve() for folder in gathered.reference} == {beside.path.parent, inside.path.parent}
    for given in (beside.path, beside.path.parent, inside.path.parent, inside.path.parents[1]):
        assert len(gather([given]).runs) == 1 and gather([given]).reference == ()
    assert len(gather([runs, runs / "five"]).runs) == 2
    shutil.rmtree(own.path)
    assert "five" in refusal(runs)


def test_a_reproduction_is_marked_and_no_further_sample(make_run):
    run = make_run("a")
    again = make_run("b", asked=("reproduce=a",))
    os.utime(run.path / "summary.json", (1000, 1000))  # the reproduction is newer
    (comparison,) = compare_groups([again, run])
    assert [one.path for one in comparison.variants[0].runs] == [run.path]
    assert any("b is a reproduction of" in note for note in comparison.notes)
    (alone,) = compare_groups([again])
    assert [one.path for one in alone.variants[0].runs] == [again.path]
    assert any(note.startswith("reproductions") and "b of a" in note for note in alone.notes)
