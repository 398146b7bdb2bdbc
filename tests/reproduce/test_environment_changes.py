"""What is not as it was recorded, in the order in which it is likely to change numbers."""

from attncompare.reproduce.environment import not_recorded
from attncompare.record import changes, said
from attncompare.record import environment

RECORDED = {
    "attncompare": "0.1.0",
    "python": "3.11.7",
    "packages": {"torch": "2.6.0", "rich": "13", "old": "1", "Typing_Extensions": "4"},
    "git": {"commit": "a" * 40, "diff": "-x\n+y", "untracked": ""},
    "platform": "Linux",
    "cpu": "this",
    "cpu_capability": "AVX512",
    "cpu_features": ["amx", "avx2", "fma"],
    "cores": 2,
    "threads": 1,
    "device": "cpu",
    "data_fingerprint": "d",
}


def now(**changed):
    return {**RECORDED, **changed}


def test_nothing_differs_from_itself():
    assert changes(RECORDED, RECORDED) == []
    here = environment("d")
    assert changes(here, here) == [] and not_recorded(here) == []


def test_what_changes_numbers_comes_first():
    other = {key: "other" for key in RECORDED if key not in ("packages", "git", "cpu_features")}
    found = changes(RECORDED, {**other, "packages": {}, "git": None, "cpu_features": []})
    assert [change.what for change in found if not change.is_package] == [
        *("data_fingerprint", "packages.torch", "threads", "device", "cpu_capability", "cpu_features", "cpu"),
        *("git.commit", "git.diff", "attncompare", "python", "cores", "platform"),
    ]


def test_torch_has_its_own_line_and_the_many_others_share_one():
    packages = {"torch": "2.7.0", "rich": "14", "new": "2", "typing-extensions": "4"}
    assert said(changes(RECORDED, now(packages=packages))) == [
        "packages.torch: 2.6.0 in the record, 2.7.0 now",
        "packages: 3 other packages differ: new, old, rich",
    ]
    only = said(changes(RECORDED, now(packages={**RECORDED["packages"], "rich": "14"})))
    assert only == ["packages: 1 other package differs: rich"]


def test_each_is_said_in_its_own_way():
    found = changes(RECORDED, now(git={**RECORDED["git"], "diff": ""}, cpu_features=["avx2", "fma", "sve"], threads=2))
    assert said(found) == [
        "threads: 1 in the record, 2 now",
        "cpu_features: only in the record amx; only now sve",
        "git.diff: 2 lines in the record, none now",
    ]


def test_of_what_was_not_recorded_nothing_can_be_said():
    partly = {"python": "3.11.7", "threads": 1}
    assert changes(partly, RECORDED) == []
    assert not_recorded(partly) == ["data_fingerprint", "packages", "device", "cpu_capability", "git"]
