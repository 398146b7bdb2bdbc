"""Configs that nobody should train: refused in one line with exit code 2, whatever stands in them."""

import math

import pytest
from cases import cases
from hypothesis import strategies as st
from made_runs import base_values

from attncompare.cli import main
from attncompare.config import parse
from attncompare.errors import Refused

WHOLE = ("task=translation", "data=reverse"), ("task=language_model", "data=recall"), ("task=language_model",), ()
ODD = (
    *(None, True, False, 0, -1, 1, 2, 10**18, -(2**63), 2**63, 10**400, 0.5, -0.0, 1e-320, 1e308, math.nan, math.inf),
    *(-math.inf, "", "x", "1", "0.5", "null", "true", "../x", "a/b", "a\n", "a\r\nb", "\0", "\ud800", "\u2028", "."),
    *("${seed}", "${oc.env:HOME}", "${", "_target_", "x" * 100_000, [], [1], ["a"], [[[]]]),
    *({}, {"a": 1}, {"_target_": "os.system"}),
)
odd_values = st.sampled_from(ODD) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def paths(values, prefix=()):
    """Return the path of every key of ``values``, sections included."""
    for key, value in values.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from paths(value, (*prefix, key))


def section_of(values, path):
    for key in path[:-1]:
        values = values[key]
    return values


def refusal(values):
    """Return in which line a config is refused, None if it is not."""
    try:
        config = parse(values)
    except Refused as error:
        text = str(error)
        assert text and text.isprintable() and len(text) < 3000, text
        return text
    assert config.to_dict() == values  # nothing was changed, dropped or filled in
    return None


@cases(quick=400, long=5_000, groups=st.sampled_from(WHOLE), value=odd_values, data=st.data())
def test_any_value_anywhere_is_taken_as_it_is_or_refused(groups, value, data):
    values = base_values(*groups)
    path = data.draw(st.sampled_from(sorted(paths(values))))
    section_of(values, path)[path[-1]] = value
    refusal(values)


@cases(quick=150, long=2_000, groups=st.sampled_from(WHOLE), name=st.text(max_size=8), value=odd_values, data=st.data())
def test_an_unknown_key_is_refused_and_named(groups, name, value, data):
    values = base_values(*groups)
    path = data.draw(st.sampled_from([(name,), *((*path[:-1], name) for path in sorted(paths(values)))]))
    section = section_of(values, path)
    if name not in section:
        section[name] = value
        assert refusal(values) is not None


@pytest.mark.parametrize("groups", WHOLE, ids=lambda groups: "-".join(groups) or "default")
def test_a_missing_key_is_refused_and_named(groups):
    for path in paths(base_values(*groups)):
        values = base_values(*groups)
        del section_of(values, path)[path[-1]]
        assert path[-1] in refusal(values) or path[-1] == "name"


LABELS = (("name",), ("attention", "name"), ("tracking", "project"), ("tracking", "entity"), ("data", "source"))


@cases(
    quick=200,
    long=10_000,
    path=st.sampled_from(LABELS),
    label=st.sampled_from(
        ("..", ".", "../x", "/tmp", "a/b", "a\\b", "~", "a b", "-x", "a\n", "", "x" * 64, "é", "CON:")
    )
    | st.text(min_size=1).filter(lambda text: not text.isascii() or not text[0].isalnum() or "/" in text),
)
def test_no_label_leads_out_of_the_runs_folder(path, label):
    values = base_values()
    section_of(values, path)[path[-1]] = label
    assert refusal(values) is not None


LEAVES = [".".join(path) for path in sorted(paths(base_values())) if len(path) < 3]
written = (
    st.text(max_size=12)
    | st.text("${}[]():,=\\'\"/.~+@ \tab1", max_size=12)
    | st.sampled_from([str(odd) for odd in ODD])
)


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@cases(
    quick=25,
    long=2_000,
    key=st.sampled_from(LEAVES) | st.text(max_size=8),
    sign=st.sampled_from(("", "+", "++", "~")),
    value=written,
)
def test_whatever_is_typed_beside_something_wrong_ends_with_2_and_one_line(empty_folder, capfd, key, sign, value):
    argument = f"{sign}{key}={value}".replace("\0", "").encode("utf-8", "ignore").decode()
    if argument.startswith("-"):
        return  # an option, such as --help
    capfd.readouterr()
    assert main(["train", "trainer.max_steps=0", argument]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1, err
    assert list(empty_folder.iterdir()) == []
