"""The commands translate, generate and evaluate: what they print, where, and what they refuse in one line."""

import gzip
import json
import os
import shutil
from pathlib import Path

import pytest
from commands import attncompare as run_command

import attncompare

LINES = "abc\r\n\nhello\r\nzyx w"  # CRLF, an empty line, and no end of the last one


def files_of(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


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
    (one,) = attncompare.load(translator_run.path).translate(["abc"], beam=4, n_best=2, length_penalty=0.0)
    assert [float(row[1]) for row in rows[:2]] == pytest.approx([h.score for h in one.hypotheses], abs=1e-4)
    assert one.score == one.hypotheses[0].log_probability


def test_sentences_that_were_cut_are_counted_and_maps_of_the_first_are_shown(cli, typed, translator_run):
    typed(b"a\n\n" + b"b" * 40 + b"\n" + b"c" * 30 + b"\n" + b"\n".join([b"cd"] * 30))
    code, out, err = cli("translate", translator_run.path, "--maps", "maps.html")
    assert (code, out.count("\n")) == (0, 34)
    assert "2 sentences of 34 cut to the first 11 tokens" in err
    assert "page: maps.html (the first 20 of 34 sentences" in err
    page = Path("maps.html").read_text()
    assert page.startswith("<!doctype html>") and '"probe":19' in page and '"probe":20' not in page


def test_a_text_and_its_continuations(cli, writer_run):
    code, out, err = cli("generate", writer_run.path, "--prompt", "k01 v02", "--tokens", 5, "--seed", 3, "--top-k", 4)
    (expected,) = attncompare.load(writer_run.path).generate("k01 v02", tokens=5, seed=3, top_k=4)
    assert (code, out) == (0, f"k01 v02{expected}\n")
    assert "unknown: k01" in err and "v02" not in err  # all that its texts hold stands behind a space
    arguments = ("--prompt", "k01", "--samples", 3, "--temperature", 2, "--top-p", 0.9)
    code, out, _ = cli("generate", writer_run.path, *arguments)
    assert code == 0 and out.count("\n---\n") == 2 and out.startswith("k01")


def test_temperature_0_is_greedy_and_no_prompt_begins_a_text(cli, writer_run):
    greedy = cli("generate", writer_run.path, "--prompt", "k01", "--tokens", 6, "--temperature", 0, "--seed", 1)
    assert greedy == cli("generate", writer_run.path, "--prompt", "k01", "--tokens", 6, "--top-k", 1, "--seed", 2)
    assert greedy[0] == 0
    code, out, err = cli("generate", writer_run.path, "--tokens", 6, "--temperature", 0)
    assert (code, err) == (0, "") and out.strip()
    assert cli("generate", writer_run.path, "--prompt", "", "--tokens", 6, "--temperature", 0) == (0, out, "")


def test_of_a_prompt_longer_than_the_model_reads_the_end_counts_and_one_line_says_so(cli, writer_run, caplog):
    longest = writer_run.config.task.max_length
    end = " ".join(["k01 v02"] * longest).split()[-(longest - 2) :]
    continued = []
    for more in (0, 1, 5):
        caplog.clear()
        prompt = " ".join(["k03"] * more + end)
        code, out, _ = cli("generate", writer_run.path, "--prompt", prompt, "--temperature", 0)
        said = f"{longest - 2 + more} tokens, of which the model reads the last {longest - 2}"
        assert code == 0 and [said in message for message in caplog.messages] == [True] * (more > 0)
        continued.append(out.removeprefix(prompt))
    assert continued[0] and len(set(continued)) == 1


def test_evaluate_gives_the_figures_of_the_record_and_writes_nothing_there(cli, translator_run):
    before = files_of(translator_run.path)
    code, out, err = cli("evaluate", translator_run.path, "--json", "found.json")
    assert (code, err) == (0, "")
    found = json.loads(Path("found.json").read_text())
    tested = translator_run.summary["test"]  # beside them stand numbers of heads
    assert found["metrics"] == {name: tested[name] for name in translator_run.config.task.metrics}
    assert found["signatures"] == translator_run.summary["signatures"]
    assert found["fingerprint"] == translator_run.summary["data"]["fingerprint"]
    assert found["signatures"]["bleu"] in out and f"{found['metrics']['loss']:.4f}" in out
    assert (found["beam"], found["split"], found["checkpoint"]) == (1, "test", "checkpoints/best.safetensors")
    assert files_of(translator_run.path) == before


def test_evaluate_on_other_data_with_other_weights_and_another_search(cli, translator_run):
    arguments = ("--data", "test_size=20", "--data", "max_symbols=6", "--split", "val", "--checkpoint", "last")
    assert cli("evaluate", translator_run.path, *arguments, "--beam", 3, "--json", "found.json")[0] == 0
    found = json.loads(Path("found.json").read_text())
    assert found["data"]["max_symbols"] == 6 and found["beam"] == 3
    assert found["metrics"]["loss"] != translator_run.summary["val"]["loss"]


def test_another_stride_scores_every_character_once_with_more_before_it(cli, windows_run, refused):
    scored = {}
    for stride in (24, 6):
        code, _, err = cli("evaluate", windows_run.path, "--stride", stride, "--json", "found.json")
        assert code == 0, err
        found = json.loads(Path("found.json").read_text())
        assert found["stride"] == stride and "bits_per_byte" in found["metrics"]
        scored[stride] = found["metrics"]["loss"]
    assert scored[24] == pytest.approx(windows_run.summary["test"]["loss"], rel=1e-6) != scored[6]
    assert "eval_stride=25" in refused("evaluate", windows_run.path, "--stride", 25)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"fine\n" * 600 + b"b\xffd\n", ["in.txt, line 601", "UTF-8", "0xff"]),
        (b"a\0b\n", ["in.txt, line 1", "NUL"]),
        (b"a\nb\rc\n", ["in.txt, line 2", "carriage return"]),
        (b"a" * (2**20 + 1), ["in.txt, line 1", "1048576 bytes"]),
        (None, ["in.txt", "No such file"]),
    ],
)
def test_a_file_that_is_no_text_is_refused_before_any_line_is_translated(refused, translator_run, content, words):
    if content is not None:
        Path("in.txt").write_bytes(content)
    line = refused("translate", translator_run.path, "in.txt")
    assert all(word in line for word in words)


def test_a_packed_file_is_translated_as_the_same_file_unpacked(cli, refused, translator_run):
    Path("in.txt").write_text("abc\nhello\n")
    Path("in.txt.gz").write_bytes(gzip.compress(Path("in.txt").read_bytes()))
    plain, packed = (cli("translate", translator_run.path, name, "--beam", 1) for name in ("in.txt", "in.txt.gz"))
    assert plain == packed and plain[0] == 0 and plain[1].count("\n") == 2
    Path("half.gz").write_bytes(Path("in.txt.gz").read_bytes()[:-10])
    assert "not a whole gzip file" in refused("translate", translator_run.path, "half.gz")


def test_standard_input_that_is_no_text(cli, typed, translator_run):
    typed(b"fine\n" * 600 + b"\xc3\n")
    code, out, err = cli("translate", translator_run.path, "--beam", 1)
    assert (code, out.count("\n")) == (2, 512) and "standard input, line 601" in err


def test_what_does_not_fit_the_run(refused, typed, translator_run, writer_run):
    translator, writer = translator_run.path, writer_run.path
    typed(b"a\n")
    assert "use generate" in refused("translate", writer)
    assert "use translate" in refused("generate", translator, "--prompt", "a")
    for command in ("translate", "evaluate"):
        assert "beam=999: more than the vocabulary" in refused(command, translator, "--beam", 999)
    assert "beam=0" in refused("evaluate", translator, "--beam", 0)
    assert "beam=2" in refused("evaluate", writer, "--beam", 2)
    assert "stride=3" in refused("evaluate", translator, "--stride", 3)
    for n_best in (0, 9):
        assert f"n_best={n_best}: valid: 1 to beam=5" in refused("translate", translator, "--n-best", n_best)
    assert "it has: best, last" in refused("translate", translator, "--checkpoint", "averaged")
    for command, option in (("translate", "--maps"), ("evaluate", "--json")):
        assert "sealed" in refused(command, translator, option, translator / "x.html")
        assert "there is no folder nowhere" in refused(command, translator, option, "nowhere/x.html")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("max_symbols", ["KEY=VALUE", "valid keys: batch_size"]),
        ("max_symbls=3", ["'max_symbls'", "did you mean max_symbols?"]),
        ("max_symbols=x", ["data.max_symbols=x", "positive integer"]),
        ("max_symbols=[1", ["max_symbols"]),
        ("tokenizer.kind=word", ["tokenizer.kind", "valid: batch_size"]),
        ("name=pairs", ["'name'", "valid: batch_size"]),
    ],
)
def test_data_that_cannot_be(refused, translator_run, change, words):
    line = refused("evaluate", translator_run.path, "--data", change)
    assert all(word in line for word in words)


@pytest.mark.parametrize("harm", ["truncated", "no checkpoint", "of another model"])
def test_weights_that_are_not_those_of_the_run(refused, translator_run, typed, harm, writer_run):
    typed(b"a\n")
    run = Path(shutil.copytree(translator_run.path, "copied"))
    file = run / "checkpoints/best.safetensors"
    other = (writer_run.path / "checkpoints/best.safetensors").read_bytes()
    file.write_bytes({"truncated": file.read_bytes()[:-100], "no checkpoint": b"spoilt"}.get(harm, other))
    assert str(file) in refused("translate", run)


@pytest.mark.long
def test_bytes_in_a_prompt_that_are_no_text(writer_run, tmp_path):
    done = run_command("generate", writer_run.path, "--prompt", os.fsdecode(b"k01 \xff"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "") and "UTF-8" in done.stderr and done.stderr.count("\n") == 1
