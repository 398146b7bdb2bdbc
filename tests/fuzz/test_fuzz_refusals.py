"""Configs that nobody should train: refused in one line with exit code 2, whatever stands in them."""

import functools
import math

import pytest
from cases import cases
from config_space import base_values
from hypothesis import strategies as st

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
    return functools.reduce(dict.__getitem__, path[:-1], values)


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


@cases(quick=150, long=5_000, groups=st.sampled_from(WHOLE), value=odd_values, data=st.data())
def test_any_value_anywhere_is_taken_as_it_is_or_refused(groups, value, data):
    values = base_values(*groups)
    path = data.draw(st.sampled_from(sorted(paths(values))))
    section_of(values, path)[path[-1]] = value
    refusal(values)


@cases(quick=60, long=2_000, groups=st.sampled_from(WHOLE), name=st.text(max_size=8), value=odd_values, data=st.data())
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
        try:
            config = parse(values)
        except Refused as error:
            assert path[-1] in str(error) or path[-1] == "name"
        else:  # a key that is younger than the first records
            assert config == parse(base_values(*groups))


LABELS = (("name",), ("attention", "name"), ("tracking", "project"), ("tracking", "entity"), ("data", "source"))
BAD_LABELS = ("..", ".", "../x", "/tmp", "a/b", "a\\b", "~", "a b", "-x", "a\n", "", "x" * 64, "é", "CON:")
bad_texts = st.text(min_size=1).filter(lambda text: not text.isascii() or not text[0].isalnum() or "/" in text)


@cases(quick=80, long=10_000, path=st.sampled_from(LABELS), label=st.sampled_from(BAD_LABELS) | bad_texts)
def test_no_label_leads_out_of_the_runs_folder(path, label):
    values = base_values()
    section_of(values, path)[path[-1]] = label
    assert refusal(values) is not None


LEAVES = [".".join(path) for path in sorted(paths(base_values())) if len(path) < 3]
keys, signs = st.sampled_from(LEAVES) | st.text(max_size=8), st.sampled_from(("", "+", "++", "~"))
written = st.text("${}[]():,=\\'\"/.~+@ \tab1", max_size=12) | st.text(max_size=12) | st.sampled_from(ODD).map(str)


@cases(quick=25, long=2_000, key=keys, sign=signs, value=written)
def test_whatever_is_typed_beside_something_wrong_ends_with_2_and_one_line(cli, key, sign, value):
    argument = f"{sign}{key}={value}".replace("\0", "").encode("utf-8", "ignore").decode()
    if not argument.startswith("-"):  # an option, such as --help
        code, out, err = cli("train", "trainer.max_steps=0", argument)
        assert (code, out, err.count("\n")) == (2, "", 1) and err.startswith("error: "), err


def test_a_time_is_written_in_seconds_or_as_a_clock_shows_it(make_config):
    for text in ("'01:02:03'", "3723", "3723.0", "3723s", "62.05m"):
        assert make_config(f"trainer.max_time={text}").trainer.max_time == 3723.0
    for wrong in ("0", "-1", "'1:60:00'", "'00:00:00'", "0h", "-1h", "2d", "soon"):
        with pytest.raises(Refused, match=r"trainer\.max_time=.*seconds, HH:MM:SS, or null"):
            make_config(f"trainer.max_time={wrong}")
    with pytest.raises(Refused, match=r"max_time=9 with devices=2: .*set devices=1"):
        make_config("trainer.max_time=9", "trainer.devices=2")
