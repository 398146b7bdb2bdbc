"""The chapters of the primer as they are written: their form, and their commands."""

import re
import shlex

import numpy as np
import pytest

from attncompare.primer.chapters import chapters, read_chapter
from attncompare.primer.running import run_chapter

BY_NUMBER = {chapter.number: chapter for chapter in chapters()}


def commands(chapter):
    """Return the words of each command that a chapter shows."""
    blocks = [block for cell in chapter.cells for block in re.findall(r"```sh\n(.*?)```", cell.text, re.DOTALL)]
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


ALL = [(chapter, words) for chapter in chapters() for words in commands(chapter)]
NAMES = [f"{chapter.number}-{' '.join(words[1:])}" for chapter, words in ALL]


def test_chapters_are_numbered_in_order_and_each_has_a_question_a_formula_code_and_commands():
    assert [chapter.number for chapter in chapters()] == list(range(1, 12))
    for chapter in chapters():
        text = "\n".join(cell.text for cell in chapter.cells if cell.kind == "markdown")
        assert "**The question:**" in text and "$$" in text and "## Try it" in text, chapter.file
        assert commands(chapter) and any(cell.kind == "code" for cell in chapter.cells)


def test_cells_know_the_lines_of_their_file():
    for chapter in chapters():
        lines = chapter.file.read_text().splitlines()
        for cell in chapter.cells:
            assert lines[cell.line - 1].removeprefix("# ") == cell.text.splitlines()[0]


def test_an_error_in_a_cell_points_at_the_line_of_its_chapter(tmp_path):
    file = tmp_path / "01_wrong.py"
    file.write_text("# %% [markdown]\n# # 1. Wrong\n\n# %%\nx = 1\n\nx.missing\n")
    with pytest.raises(AttributeError) as raised:
        run_chapter(read_chapter(file))
    assert raised.traceback[-1].lineno == 6


@pytest.mark.parametrize(("chapter", "words"), ALL, ids=NAMES)
def test_each_command_is_one(chapter, words, cli, tmp_path):
    """Configs are composed; other commands get as far as the run that is not there."""
    assert words[0] == "attncompare"
    if words[1] != "train":
        code, _, err = cli(*words[1:])
        assert code == 2 and ("RUN" in err or "SWEEP" in err), err
    elif "task.causal=false" in words:  # the chapter says that it is refused
        assert cli(*words[1:])[0] == 2
    else:
        code, _, err = cli(*words[1:], *(["--dry-run"] if "-m" in words else ["--cfg", "job"]))
        assert code == 0, err


class TestFriends:
    """Chapter 1 is chosen so that all of it can be checked by hand."""

    @pytest.fixture(scope="class")
    def told(self):
        namespace = {}
        for cell in BY_NUMBER[1].cells[:5]:
            if cell.kind == "code" and "pictures" not in cell.text:
                exec(cell.text, namespace)
        return namespace

    def test_monika_is_closest_to_chandler_by_the_mba_and_to_joey_by_trekking(self, told):
        q, students, interests = told["Q"], told["students"], told["interests"]
        monika = students.index("Monika")
        others = {name: told["R"][monika, i] for i, name in enumerate(students) if name != "Monika"}
        closest = {name for name, score in others.items() if score == max(others.values())}
        assert closest == {"Chandler", "Joey"}
        for friend, interest in (("Chandler", "MBA"), ("Joey", "trekking")):
            shared = q[monika] * q[students.index(friend)]
            assert [interests[i] for i in np.flatnonzero(shared)] == [interest]

    def test_numbers_are_those_of_the_formulas_and_small_enough_for_a_hand(self, told):
        q, w, t = told["Q"], told["W"], told["T"]
        assert q.shape == (6, 7) and q.min() >= 0 and q.max() <= 10 and np.array_equal(told["R"], q @ q.T)
        shares = [np.exp(3) / (3 * np.exp(3) + 3)] * 3 + [1 / (3 * np.exp(3) + 3)] * 3
        np.testing.assert_allclose(w[0], shares)
        assert t[0, 0] > q[0, 0] and t[0, 1] > q[0, 1]  # she comes closer to both
        np.testing.assert_allclose(t, w @ q)
