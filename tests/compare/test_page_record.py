import json

from attncompare.compare.groups import compare_groups
from attncompare.compare.page_record import record
from attncompare.record import Run
from attncompare.record import seal


def in_another_place(run, **facts):
    """Change what the record says of its environment."""
    file = run.path / "environment.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))
    seal(run.path)
    return Run.open(run.path)


def test_only_what_differs_between_the_variants_is_listed(make_run):
    (comparison,) = compare_groups([make_run("a", "attention=additive"), make_run("b", "attention=dot", "seed=2")])
    table = record(comparison).configs
    assert table.columns == ("additive", "dot")
    assert dict(table.rows) == {"attention.name": ("additive", "dot"), "attention.score": ("additive", "dot")}


def test_environments_are_told_by_what_differs(make_run):
    other = in_another_place(make_run("b", "attention=dot"), python="3.12", threads=4)
    (comparison,) = compare_groups([make_run("a", "attention=additive"), other, make_run("c", "seed=3")])
    found = record(comparison)
    assert [run.environment for run in found.runs] == [0, 1, 0]
    assert dict(found.environments.rows) == {"python": ("3.11", "3.12"), "threads": ("–", "4")}


def test_long_values_that_begin_alike_are_told_apart(make_run):
    runs = [
        in_another_place(make_run(name, f"attention={name}"), diff="a" * 5000 + name) for name in ("additive", "dot")
    ]
    (comparison,) = compare_groups(runs)
    ((key, cells),) = record(comparison).environments.rows
    assert key == "diff" and len(set(cells)) == 2 and max(map(len, cells)) < 120


def test_runs_of_one_environment_have_no_table_of_differences(make_run):
    (comparison,) = compare_groups([make_run("a"), make_run("b", "attention=dot")])
    found = record(comparison)
    assert found.environments.rows == () and len(found.environments.columns) == 1


def test_every_run_has_the_command_that_repeats_it(make_run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (comparison,) = compare_groups([make_run("a b"), make_run("c", "seed=2")])
    commands = [run.command for run in record(comparison).runs]
    assert commands == ["attncompare reproduce 'runs/a b'", "attncompare reproduce runs/c"]
