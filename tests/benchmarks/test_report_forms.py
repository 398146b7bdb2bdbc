import json

from rich.console import Console

from attncompare.bench.markdown import as_markdown
from attncompare.bench.report import Column, Report, Row, Table, as_data
from attncompare.bench.spread import Spread
from attncompare.bench.terminal import print_report
from attncompare.bench.values import quartiles, shown

MACHINE = {
    "device": "cpu",
    "cpu": "A processor",
    "cores": 2,
    "threads": 1,
    "memory_bytes": 8 * 2**30,
    "python": "3.11.0",
    "packages": {"torch": "2.13.0"},
    "kernels": None,
    "commit": "0123456789abcdef+",
    "date": "2026-01-02T03:04:05+00:00",
}
COLUMNS = (Column("seconds", "time", "seconds"), Column("bytes", "memory", "bytes"))
ROWS = (
    Row(("forward", "ours"), {"seconds": Spread(0.0123, 0.0121, 0.0125, 9), "bytes": 3 * 2**20}),
    Row(("forward", "a|b"), {}, "not installed"),
)
REPORT = Report("attncompare bench x", MACHINE, {}, [Table("Some table", ("what", "who"), COLUMNS, ROWS, ("A note.",))])


def test_figures_in_words():
    assert shown(Spread(1.363, 1.3, 1.4, 3), "seconds") == "1.36 s"
    assert shown(0.000002, "seconds") == "2.00 µs"
    assert shown(3, "bytes") == "3.00 B"
    assert shown(30.04, "ratio") == "30.0×"
    assert shown(0.25, "share") == "25.0 %"
    assert shown(28123.4, "rate") == "28,123/s"
    assert shown(1234, "number") == "1,234"
    assert shown(None, "seconds") == ""
    assert quartiles(Spread(0.0123, 0.0121, 0.0125, 9), "seconds") == "[12.1, 12.5]"
    assert quartiles(Spread(1.0, 1.0, 1.0, 1), "seconds") == ""


def test_markdown_holds_command_figures_reasons_and_machine():
    text = as_markdown(REPORT)
    assert "```bash\nattncompare bench x\n```" in text
    assert "| forward | ours | 12.3 ms [12.1, 12.5] | 3.00 MiB |" in text
    assert "| forward | a\\|b: not installed |  |  |" in text
    assert "A processor, 2 cores, 1 thread, 8 GiB, Python 3.11.0, torch 2.13.0, compiled loops absent" in text
    assert "commit 0123456789+, 2026-01-02." in text


def test_the_terminal_says_the_same(capsys):
    print_report(Console(width=120), REPORT)
    text = capsys.readouterr().out
    for words in ("Some table", "12.3 ms ±2 %", "3.00 MiB", "a|b: not installed", "A note.", "A processor"):
        assert words in text
    print_report(Console(width=80), REPORT)
    assert "±" not in capsys.readouterr().out


def test_json_is_the_whole_report():
    data = json.loads(json.dumps(as_data(REPORT)))
    assert data["machine"] == MACHINE
    assert data["tables"][0]["rows"][0]["values"]["seconds"] == {
        "median": 0.0123,
        "low": 0.0121,
        "high": 0.0125,
        "count": 9,
    }
