"""Yaml and JSON from anywhere: plain values or a refusal in one line, never a program, never a bomb."""

import json

import pytest
import yaml

from attncompare.config.plain_values import leaves, safe_json, safe_yaml
from attncompare.errors import Refused

YAML = {
    "an object": b"!!python/object/apply:os.system [true]",
    "a new object": b"a: !!python/object/new:os.system [true]",
    "a name": b"a: !!python/name:os.system",
    "a tag of one's own": b"a: !env HOME",
    "bytes": b"a: !!binary aGk=",
    "an anchor": b"a: &a 1",
    "an alias": b"a: *a",
    "depth": 200 * b"[",
    "depth in blocks": b"".join(b" " * n + b"a:\n" for n in range(200)),
    "a key twice": b"a: 1\nb: 2\na: 3",
    "a list as a key": b"? [a]\n: 1",
    "two documents": b"--- 1\n--- 2",
    "no utf-8": b"a: \xff",
    "a nul": b"a: \0",
    "a control character": b"a: \x07",
    "half a character": b'a: "\\ud800"',
    "a huge number": b"a: " + 5000 * b"9",
    "no yaml": b"a: [",
}
JSON = {
    "depth": 100_000 * b"[",
    "depth in objects": 100_000 * b'{"a":',
    "a huge number": b"[" + 30 * b"9" + b"]",
    "a huger number": b"[" + 5000 * b"9" + b"]",
    "half a character": b'"\\ud800"',
    "no utf-8": b'"\xff"',
    "a nul": b'"\0"',
    "more behind it": b"{} {}",
    "nothing": b"",
}


@pytest.mark.parametrize("case", YAML)
def test_hostile_yaml_is_refused_in_one_line(case):
    with pytest.raises(Refused, match=r"^file\.yaml: ") as refusal:
        safe_yaml(YAML[case], "file.yaml")
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("case", JSON)
def test_hostile_json_is_refused_in_one_line(case):
    with pytest.raises(Refused, match=r"^file\.json: ") as refusal:
        safe_json(JSON[case], "file.json")
    assert str(refusal.value).isprintable()


def test_a_bomb_is_refused_at_its_first_anchor():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join(9 * [f'*a{n - 1}'])}]" for n in range(1, 20)]
    with pytest.raises(Refused, match="line 1: yaml anchors"):  # unfolded it would fill any memory
        safe_yaml("\n".join(lines).encode(), "bomb.yaml")


def test_what_we_write_comes_back():
    values = {"a": [1, 2.5, None, True, "ü \u2028 ⏎ 😀"], "b": {"date": "2020-01-01", "": ""}, "c": "${x}", "d": 1e-4}
    assert safe_yaml(yaml.safe_dump(values, allow_unicode=True).encode(), "x") == values
    assert safe_yaml(b"a: 2020-01-01\nb: 12:30", "x")["a"] == "2020-01-01"  # a date is a text
    assert safe_json(json.dumps(values).encode(), "x") == values
    assert safe_json(b'{"perplexity": Infinity, "n": 18446744073709551615}', "x") == {
        "perplexity": float("inf"),
        "n": 2**64 - 1,
    }


def test_leaves_are_all_values_and_all_keys():
    found = list(leaves({"a": [1, {"b": 2}], "c": None}))
    assert found == [("a", "a"), ("a.0", 1), ("a.1.b", "b"), ("a.1.b", 2), ("c", "c"), ("c", None)]
