import json

import pytest


def test_a_quick_run_measures_everybody(cli, tmp_path):
    code, out, err = cli("bench", "train", "language-model", "--quick", "--threads", "1", "--json", tmp_path / "a.json")
    assert code == 0, err
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["command"] == "attncompare bench train language-model --threads 1 --quick", (
        "the command that was given"
    )
    (table,) = report["tables"]
    rows = {row["label"][0]: row for row in table["rows"]}
    assert "attncompare train" in rows
    assert "the same model written by hand" in rows
    for row in rows.values():
        if row["note"]:  # a library that is not installed
            assert "pip install" in row["note"]
        else:
            assert row["values"]["rate"]["median"] > 0
    assert "x-transformers" in out


def test_the_overhead_is_measured_with_equal_weights(cli, tmp_path):
    code, out, err = cli("bench", "train", "overhead", "--quick", "--threads", "1")
    assert code == 0, err
    assert "bitwise those of the plain loop" in " ".join(out.split())
    assert "10 scalars, W&B offline" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["training"], "unknown part 'training'"),
        (["translation", "--data-path", "nowhere"], "--data-path nowhere: there is no such folder"),
    ],
)
def test_wrong_usage_is_refused(cli, arguments, message):
    code, _, err = cli("bench", "train", *arguments)
    assert code == 2
    assert message in err
