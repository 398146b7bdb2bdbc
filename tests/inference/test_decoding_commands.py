"""The commands translate, generate and evaluate: what they print, where, and what they refuse in one line."""

import json
import os
import shutil
from pathlib import Path

import pytest
from commands import attncompare as run_command

import attncompare
from attncompare.record import seal

LINES = "abc\r\n\nhello\r\nzyx w"  # CRLF, an empty line, and no end of the last one


def files_of(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def copied(translator_run):
    return lambda: Path(shutil.copytree(translator_run.path, "copied"))


def test_a_line_in_a_line_out_from_a_file_and_from_standard_input(cli, typed, translator_run):
    Path("in.txt").write_bytes("\ufeff".encode() + LINES.encode())
    before = files_of(translator_run.path)
    code, out, err = cli("translate", translator_run.path, "in.txt", "--beam", 3)
    assert (code, err) == (0, "") and out.endswith("\n")
    expected = attncompare.load(translator_run.path).translate(["abc", "", "hello", "zyx w"], beam=3)
    assert out.split("\n") == [*(one.text for one in expected), ""] and out.split("\n")[1] == ""
    typed(LINES.encode())
    assert cli("translate", translator_run.path, "--beam", 3) == (0, out, "")
    typed(b"")
    assert cli("translate", translator_run.path) == (0, "", "")
    assert files_of(translator_run.path) == before


def test_many_lines_keep_their_order(cli, typed, translator_run):
    lines = [chr(97 + n % 26) * (1 + n % 7) for n in range(1100)]
    typed("\n".join(lines).encode())
    code, out, _ = cli("translate", translator_run.path, "--beam", 1)
    assert code == 0
    by_line = {}
    for line, answer in zip(lines, out.split("\n")[:-1], strict=True):
        assert by_line.setdefault(line, answer) == answer


def test_n_best_with_numbers_and_scores(cli, typed, translator_run):
    typed(LINES.encode())
    code, out, _ = cli("translate", translator_run.path, "--beam", 4, "--n-best", 2, "--length-penalty", 0)
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and [row[0] for row in rows] == ["0", "0", "1", "2", "2", "3", "3"]
    assert rows[2] == ["1", "0.000000", ""]
    trained = attncompare.load(translator_run.path)
    (one,) = trained.translate(["abc"], beam=4, n_best=2, length_penalty=0.0)
    assert [float(row[1]) for row in rows[:2]] == pytest.approx([h.score for h in one.hypotheses], abs=1e-4)
    assert one.score == one.hypotheses[0].log_probability


def test_sentences_that_were_cut_are_counted(cli, typed, translator_run):
    typed(b"a\n" + b"b" * 40 + b"\n" + b"c" * 30 + b"\n")
    code, out, err = cli("translate", translator_run.path)
    assert (code, out.count("\n")) == (0, 3)
    assert err == "warning: 2 sentences of 3 cut to the first 11 tokens\n"


def test_a_page_of_maps(cli, typed, translator_run):
    typed(b"ab\n\n" + b"\n".join([b"cd"] * 30))
    code, _, err = cli("translate", translator_run.path, "--maps", "maps.html")
    assert code == 0 and "page: maps.html (the first 20 of 32 sentences; at most 20 are shown)" in err
    page = Path("maps.html").read_text()
    assert page.startswith("<!doctype html>") and '"probe":19' in page and '"probe":20' not in page


def test_a_text_and_its_continuations(cli, writer_run):
    code, out, err = cli("generate", writer_run.path, "--prompt", "k01 v02", "--tokens", 5, "--seed", 3, "--top-k", 4)
    (expected,) = attncompare.load(writer_run.path).generate("k01 v02", tokens=5, seed=3, top_k=4)
    assert (code, out, err) == (0, f"k01 v02{expected}\n", "")
    arguments = ("--prompt", "k01", "--samples", 3, "--temperature", 2, "--top-p", 0.9)
    code, out, _ = cli("generate", writer_run.path, *arguments)
    assert code == 0 and out.count("\n---\n") == 2 and out.startswith("k01")


def test_evaluate_gives_the_figures_of_the_record_and_writes_nothing_there(cli, translator_run):
    before = files_of(translator_run.path)
    code, out, err = cli("evaluate", translator_run.path, "--json", "found.json")
    assert (code, err) == (0, "")
    found = json.loads(Path("found.json").read_text())
    assert found["metrics"] == translator_run.summary["test"]
    assert found["signatures"] == translator_run.summary["signatures"]
    assert found["fingerprint"] == translator_run.summary["data"]["fingerprint"]
    assert found["signatures"]["bleu"] in out and f"{found['metrics']['loss']:.4f}" in out
    assert (found["beam"], found["split"], found["checkpoint"]) == (1, "test", "checkpoints/best.safetensors")
    assert files_of(translator_run.path) == before


def test_evaluate_on_other_data_with_other_weights_and_another_search(cli, translator_run):
    arguments = ("--data", "test_size=20", "--data", "max_symbols=6", "--split", "val", "--checkpoint", "last")
    code, _, _ = cli("evaluate", translator_run.path, *arguments, "--beam", 3, "--json", "found.json")
    found = json.loads(Path("found.json").read_text())
    assert code == 0 and found["data"]["max_symbols"] == 6 and found["beam"] == 3
    assert found["metrics"]["loss"] != translator_run.summary["val"]["loss"]


def test_evaluate_a_language_model(cli, writer_run):
    code, out, _ = cli("evaluate", writer_run.path, "--split", "val")
    assert code == 0 and "bits_per_byte" in out and "beam" not in out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"good\nb\xffd\n", "in.txt, line 2: not UTF-8 (byte 2 of the line is 0xff)"),
        (b"a\0b\n", "in.txt, line 1: a NUL byte"),
        (b"a" * (2**20 + 1), "in.txt, line 1: longer than 1048576 bytes"),
        (None, "in.txt: cannot be read (No such file or directory)"),
    ],
)
def test_a_file_that_is_no_text_is_refused_before_any_line_is_translated(cli, refused, translator_run, content, words):
    if content is not None:
        Path("in.txt").write_bytes(b"fine\n" * 600 * (len(content) > 2) + content if b"good" in content else content)
    line = refused("translate", translator_run.path, "in.txt")
    assert words.replace("line 2", "line 602") in line


def test_standard_input_that_is_no_text(cli, typed, translator_run):
    typed(b"fine\n" * 600 + b"\xc3\n")
    code, out, err = cli("translate", translator_run.path, "--beam", 1)
    assert (code, out.count("\n")) == (2, 512)
    assert err == "error: standard input, line 601: not UTF-8 (byte 1 of the line is 0xc3)\n"


def test_what_does_not_fit_the_run(refused, typed, translator_run, writer_run):
    translator, writer = translator_run.path, writer_run.path
    typed(b"a\n")
    assert "which translates nothing; use generate" in refused("translate", writer)
    assert "which continues no text; use translate" in refused("generate", translator, "--prompt", "a")
    assert "beam=999: more than the vocabulary" in refused("translate", translator, "--beam", 999)
    assert "beam=999: more than the vocabulary" in refused("evaluate", translator, "--beam", 999)
    assert "beam=0: must be" in refused("evaluate", translator, "--beam", 0)
    assert "translates nothing" in refused("evaluate", writer, "--beam", 2)
    assert "n_best=9: valid: 1 to beam=5" in refused("translate", translator, "--n-best", 9)
    assert "n_best=0: valid" in refused("translate", translator, "--n-best", 0)
    assert "the prompt is empty" in refused("generate", writer, "--prompt", "")
    assert "the prompt has 40 tokens; this run reads 24" in refused("generate", writer, "--prompt", "k01" + " k01" * 39)
    assert "has no checkpoint 'averaged'; it has: best, last" in refused(
        "translate", translator, "--checkpoint", "averaged"
    )
    for option in ("--maps", "--json"):
        command = ("translate", translator) if option == "--maps" else ("evaluate", translator)
        assert "inside of the run's folder, which is sealed" in refused(*command, option, translator / "x.html")
        assert "there is no folder nowhere" in refused(*command, option, "nowhere/x.html")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("max_symbols", "--data max_symbols: write KEY=VALUE; valid keys: batch_size, batch_tokens, train_size"),
        ("max_symbls=3", "unknown key of --data 'max_symbls' (did you mean max_symbols?)"),
        ("max_symbols=x", "data.max_symbols=x: must be a positive integer"),
        ("max_symbols=[1", "--data max_symbols"),
        ("tokenizer.kind=word", "the model knows no tokenizer but that of its run"),
        ("name=pairs", "the run's data are data=reverse"),
    ],
)
def test_data_that_cannot_be(refused, translator_run, change, words):
    assert words in refused("evaluate", translator_run.path, "--data", change)


def test_evaluate_with_another_stride_scores_every_character_once_with_more_before_it(cli, windows_run, refused):
    scored = {}
    for stride in (24, 6):
        assert cli("evaluate", windows_run.path, "--stride", stride, "--json", "found.json")[0] == 0
        found = json.loads(Path("found.json").read_text())
        assert found["stride"] == stride
        scored[stride] = found["metrics"]["loss"]
    assert scored[24] == pytest.approx(windows_run.summary["test"]["loss"], rel=1e-6) != scored[6]
    assert "eval_stride=25 is more than max_length=24" in refused("evaluate", windows_run.path, "--stride", 25)
    assert "eval_stride=0" in refused("evaluate", windows_run.path, "--stride", 0)


def test_sentences_have_no_stride(refused, translator_run):
    assert "--stride 3: task=translation has sentences" in refused("evaluate", translator_run.path, "--stride", 3)


@pytest.mark.parametrize("command", [("translate",), ("generate", "--prompt", "a"), ("evaluate",)])
def test_a_run_that_is_none_or_has_not_finished(refused, copied, typed, command):
    typed(b"a\n")
    name, *rest = command
    assert "nowhere: no such folder" in refused(name, "nowhere", *rest)
    run = copied()
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "state": "failed", "message": "the cat sat on it"}))
    assert "copied: the run is failed, not finished: the cat sat on it" in refused(name, run, *rest)


@pytest.mark.parametrize("sealed", [False, True], ids=["as-it-was-sealed", "sealed-again"])
@pytest.mark.parametrize("harm", ["truncated", "no checkpoint", "of another model"])
def test_weights_that_are_not_those_of_the_run(refused, copied, typed, harm, sealed, writer_run):
    typed(b"a\n")
    run = copied()
    file = run / "checkpoints/best.safetensors"
    other = (writer_run.path / "checkpoints/best.safetensors").read_bytes()
    damaged = {"truncated": file.read_bytes()[:-100], "no checkpoint": b"spoilt", "of another model": other}
    file.write_bytes(damaged[harm])
    if sealed:
        seal(run)
    line = refused("translate", run)
    assert str(file) in line
    words = "cannot be read as weights" if harm != "of another model" else "not the weights of this config"
    assert (words if sealed else "not what the finished run wrote") in line


def test_bytes_in_a_prompt_that_are_no_text(writer_run, tmp_path):
    done = run_command("generate", writer_run.path, "--prompt", os.fsdecode(b"k01 \xff"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the prompt must be a text in UTF-8 without NUL\n"
