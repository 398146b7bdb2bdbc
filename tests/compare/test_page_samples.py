import pytest

from attncompare.compare.groups import compare_groups
from attncompare.compare.page_samples import difference, samples


def marked(answer, reference):
    """Write what is added as {+x+} and what is missing as [-x-]."""
    marks = {"same": "{}", "added": "{{+{}+}}", "missing": "[-{}-]"}
    return "".join(marks[piece.kind].format(piece.text) for piece in difference(answer, reference))


@pytest.mark.parametrize(
    ("answer", "reference", "shown"),
    [
        ("vor drei Tagen", "vor drei Tagen", "vor drei Tagen"),
        ("vor vier Tagen", "vor drei Tagen", "vor [-drei-]{+vier+} Tagen"),
        ("vor drei", "vor drei Tagen", "vor drei[- Tagen-]"),
        ("vor drei Tagen und", "vor drei Tagen", "vor drei Tagen{+ und+}"),
        ("abxd", "abcd", "ab[-c-]{+x+}d"),  # one word: by characters
        ("x y z", "vor drei Tagen", "{+x y z+}"),  # little in common: not word by word
        ("", "vor drei", "[-vor drei-]"),
    ],
)
def test_the_difference_from_the_reference(answer, reference, shown):
    assert marked(answer, reference) == shown


@pytest.mark.parametrize("answer", ["", "a", "a  b\tc", "«ö»  a\nb", "a b c d e f"])
@pytest.mark.parametrize("reference", ["", "a", "b a", "a  b\tc d", "ö"])
def test_the_pieces_hold_both_texts_whole(answer, reference):
    pieces = difference(answer, reference)
    assert "".join(piece.text for piece in pieces if piece.kind != "missing") == answer
    whole = "".join(piece.text for piece in pieces if piece.kind != "added")
    assert whole == reference or [piece.kind for piece in pieces] == ["added"]


def test_samples_that_tell_variants_apart_come_first(make_run):
    runs = [make_run("a", answer="{}. März"), make_run("b", "attention=dot", answer="2. März")]
    (comparison,) = compare_groups(runs)
    found = samples(comparison)
    # Item 1 ("1. März" is the reference) is right once; item 0 never; on item 2 both agree.
    assert [len({answer.text for answer in sample.answers}) for sample in found] == [2, 2, 1]
    assert [[answer.right for answer in sample.answers] for sample in found] == [
        [True, False],
        [False, False],
        [False, False],
    ]
    assert found[0].given["reference"] == "1. März" and found[0].answers[1].text == "2. März"


def test_a_run_without_predictions_has_dashes_not_a_failure(make_run):
    (comparison,) = compare_groups([make_run("a"), make_run("b", "attention=dot", answers=[])])
    assert [answer.text is None for answer in samples(comparison)[0].answers] == [False, True]


def test_very_long_answers_are_cut_and_marked(make_run):
    (comparison,) = compare_groups([make_run("a", answer="word " * 10_000)])
    text = samples(comparison)[0].answers[0].text
    assert len(text) == 401 and text.endswith("…")


def test_texts_that_differ_beyond_the_cut_are_not_taken_for_the_reference(make_run):
    long = "word " * 100
    runs = [make_run("a", answers=[f"{long}end"]), make_run("b", "attention=dot", answers=[f"{long}other"])]
    (comparison,) = compare_groups(runs)
    rows = [{**row, "reference": f"{long}end"} for row in runs[0].predictions()]
    for run in runs:
        own = [{**row, "prediction": run.predictions()[0]["prediction"]} for row in rows]
        object.__setattr__(run, "predictions", lambda own=own: own)
    (sample,) = samples(comparison)
    assert [answer.right for answer in sample.answers] == [True, False]
    assert len(sample.given["reference"]) == 401 and {len(answer.text) for answer in sample.answers} == {401}
