"""The primer as a page, as Markdown and as a notebook."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from browser import needs_browser, opened

from attncompare.primer.chapters import chapters
from attncompare.primer.page import formula, html_of, primer_page
from attncompare.primer.running import Output, run_chapter
from attncompare.primer.table import SelfAttentionTable
from attncompare.primer.writing import BEGIN, END, PAGE, markdown_of, notebook_of, write

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def first():
    """The first chapter with what came of it, which needs no trained model."""
    chapter = chapters()[0]
    return chapter, run_chapter(chapter)


@pytest.fixture
def page(first, tmp_path):
    file = tmp_path / PAGE
    file.write_text(primer_page([first], "Quick: for this test"), encoding="utf-8")
    return file


def test_formulas_are_drawn_and_code_stays_as_it_is():
    html = html_of("of $a_i$ and *b* in `x$y$z`\n\n```sh\necho $HOME $PATH\n```\n\n$$\\frac{1}{\\sqrt{d}}$$")
    assert html.count("<svg") == html.count("<path") == 2 and html.count('class="formula"') == 1
    assert 'aria-label="a_i"' in html and formula(r"\frac{1}{\sqrt{d}}") != formula(r"\frac{1}{d}")
    assert "<code>x$y$z</code>" in html and "echo $HOME $PATH" in html and "<em>b</em>" in html


def test_no_formula_of_a_chapter_is_left_as_latex():
    for chapter in chapters():
        for cell in chapter.cells:
            if cell.kind == "markdown":
                html = re.sub(r"<(pre|code).*?</\1>", "", html_of(cell.text), flags=re.DOTALL)
                html = re.sub(r'aria-label=".*?"', "", html)
                assert "$" not in html and "\\" not in html, chapter.file


def test_what_a_cell_prints_shows_and_draws_is_on_the_page(first, page):
    text, (chapter, outputs) = page.read_text(), first
    assert chapter.title in text and "R[Monika, Chandler] = 3" in text
    assert text.count("data:image/png;base64,") == sum(len(one.pictures) for one in outputs) > 0
    assert all(picture.alt for one in outputs for picture in one.pictures)
    assert "Quick: for this test" in text


@needs_browser
@pytest.mark.parametrize("width", [1280, 400])
def test_a_changed_cell_changes_everything_and_asks_no_server(page, width):
    with opened(page, width) as (browser, problems):
        tables = browser.locator(".pp-attention table")
        cells = [tables.nth(number).locator("td") for number in range(4)]
        browser.get_by_label("Phoebe, fossils").fill("3")

        def numbers(of, columns):
            return np.array([float(text) for text in of.all_inner_texts()]).reshape(-1, columns)

        q_ND = np.array([[float(one.input_value()) for one in cells[0].locator("input").all()]]).reshape(6, 7)
        r_NN, w_NN, t_ND = SelfAttentionTable(["a"] * 6, ["b"] * 7, q_ND).computed()
        assert r_NN[4, 5] == 8  # Ross and Phoebe: fossils 2 · 3, music 1 · 2
        for number, expected, columns in ((1, r_NN, 6), (2, w_NN, 6), (3, t_ND, 7)):
            np.testing.assert_allclose(numbers(cells[number], columns), expected, atol=0.006)
        browser.get_by_role("button", name="as it was").click()
        assert numbers(cells[1], 6)[4, 5] == 2
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert problems == []


def test_the_notebook_is_that_of_the_chapters():
    written = json.loads((ROOT / "examples/primer.ipynb").read_text())
    assert written == notebook_of(
        chapters()
    )  # attncompare primer --markdown docs/primer.md --notebook examples/primer.ipynb


def test_the_guide_is_made_of_the_chapters_and_has_all_its_pictures():
    file = ROOT / "docs/primer.md"
    text = file.read_text()
    without = re.sub(rf"{BEGIN}.*?{END}\n\n?", "", text, flags=re.DOTALL)
    nothing = [(chapter, [Output()] * len(chapter.cells)) for chapter in chapters()]
    assert without.rstrip() == markdown_of(nothing, "primer").rstrip()
    named = re.findall(r"\]\((primer/[\w-]+\.png)\)", text)
    assert sorted(named) == sorted(f"primer/{one.name}" for one in (ROOT / "docs/primer").iterdir())


def test_files_of_others_are_not_replaced(tmp_path):
    (tmp_path / PAGE).write_text("mine")
    from attncompare.errors import Refused

    with pytest.raises(Refused, match=PAGE):
        write(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == [PAGE] and (tmp_path / PAGE).read_text() == "mine"
