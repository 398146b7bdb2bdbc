"""Gold alignments of ``locale`` against the generator's fields, in several pairs of languages."""

import datetime as dt
import random
import re
from itertools import cycle

import pytest
from babel import Locale
from babel.dates import get_day_names, get_month_names
from dataset_configs import dataset

from attncompare.data.corpora.locale import phrases
from attncompare.data.corpora.locale.phrases import Language, Segment, around, fill, languages, phrase, render, spans
from attncompare.data.corpus import Pair, fingerprint, generated_pairs
from attncompare.data.dataset import SPLITS
from attncompare.errors import Refused

PAIRS = [("en", "de"), ("en", "ja"), ("ru", "it"), ("pt_BR", "ar")]
ONE_PAIR = PAIRS[0]


def languages_of(pair):
    return Language(pair[0], "data.source"), Language(pair[1], "data.target")


def loaded(pair=ONE_PAIR, train=300, data_seed=1):
    sizes = {"train_size": train, "val_size": 40, "test_size": 40}
    return dataset("locale", data_seed, source=pair[0], target=pair[1], **sizes).load()


def by_field(segments):
    found = {}
    for text, field in segments:
        if field:
            found.setdefault(field, []).append(text)
    return found


@pytest.mark.parametrize("pair", PAIRS)
def test_digits_of_dates_and_times_are_equal_on_both_sides(pair):
    both, rng, compared = languages_of(pair), random.Random(0), 0
    for _ in range(200):
        source, target = (by_field(side) for side in phrases.date(rng, both))
        for field in ("day", "year"):
            if field in source and field in target and "".join(source[field] + target[field]).isdecimal():
                first, second = (int("".join(side[field])) % 100 for side in (source, target))
                assert first == second  # "short" years have two digits
                compared += 1
    assert compared > 100


@pytest.mark.parametrize("pair", PAIRS)
def test_months_and_weekdays_are_those_of_cldr(pair):
    both, rng = languages_of(pair), random.Random(0)
    months = [get_month_names("wide", "stand-alone", language.locale) for language in both]
    days = [get_day_names("wide", "format", language.locale) for language in both]
    for maker, names, field in (
        (phrases.MAKERS["month"][1], months, "month"),
        (phrases.MAKERS["weekday"][1], days, "weekday"),
    ):
        numbers = [{name: number for number, name in table.items()} for table in names]
        said = [[numbers[i][by_field(side)[field][0]] for i, side in enumerate(maker(rng, both))] for _ in range(60)]
        assert all(source == target for source, target in said)
        assert len({source for source, _ in said}) >= 7


def test_a_date_says_the_same_day_in_both_languages():
    both, day = languages_of(("en", "de")), dt.datetime(2024, 3, 9, 15, 5, 0)
    source, target = phrases.said(both, "full", day)
    assert render(source) == "Saturday, March 9, 2024"
    assert render(target) == "Samstag, 9. März 2024"
    source, target = phrases.said(both, "time short", day)
    assert (render(source), render(target)) == ("3:05 PM", "15:05")
    assert by_field(source) == {"hour": ["3", "PM"], "minute": ["05"]}  # both words together are "15"
    assert by_field(target) == {"hour": ["15"], "minute": ["05"]}


@pytest.mark.parametrize("pair", PAIRS)
def test_spelled_and_written_numbers_agree(pair):
    both, rng = languages_of(pair), random.Random(1)
    value = {str(language.locale): {language.say(n): n for n in range(1000)} for language in both}
    for _ in range(150):
        source, target = phrases.MAKERS["cardinal"][1](rng, both)
        known = value[str(both[0].locale)].get(render(source))
        if known is not None:
            assert render(target) == both[1].say(known)
        source, target = phrases.digits(rng, both)
        significant = [re.sub(r"\D", "", render(side)) for side in (source, target)]
        assert significant[0] == significant[1]


def test_phrases_inflect_and_reorder():
    both, rng = languages_of(ONE_PAIR), random.Random(3)
    said = {render(s): render(t) for s, t in (phrases.relative(rng, both) for _ in range(3000))}
    for number, word in ((3, "drei"), (7, "sieben")):
        spelled = {both[0].say(number): word, str(number): str(number)}
        for english, german in spelled.items():
            assert said.get(f"{english} months ago", f"vor {german} Monaten") == f"vor {german} Monaten"
    assert "in 1 month" not in said or said["in 1 month"] == "in 1 Monat"
    assert sum(source.endswith(" ago") and target.startswith("vor ") for source, target in said.items()) > 500
    money = {render(s): render(t) for s, t in (phrases.currency(rng, both) for _ in range(3000))}
    assert not any("einundzwanzig" in target for target in money.values())  # "ein" would change with the noun
    assert any(target.endswith(" Tschechische Kronen") for target in money.values())


@pytest.mark.parametrize("pair", PAIRS)
def test_spans_slice_to_the_text_of_their_segment(pair):
    both, rng = languages_of(pair), random.Random(2)
    for _ in range(100):
        for segments in phrase(rng, both):
            fields = {field: number for number, field in enumerate(sorted({f for _, f in segments if f}))}
            names = {number: field for field, number in fields.items()}
            text = render(segments)
            cut = [(text[start:end], names[field]) for start, end, field in spans(segments, fields)]
            whole = [(render([Segment(t.strip())]).strip(), f) for t, f in segments if f and t.strip()]
            assert cut == whole


@pytest.mark.parametrize("pair", PAIRS)
def test_every_row_is_aligned_and_its_spans_lie_inside(pair):
    corpus = loaded(pair)
    for row in corpus.splits["train"]:
        fields = [{field for *_, field in row[f"{side}_spans"]} for side in ("source", "target")]
        assert fields[0] == fields[1] == set(range(len(fields[0]))) != set()
        for side in ("source", "target"):
            ends = 0
            for start, end, _ in row[f"{side}_spans"]:
                assert ends <= start < end <= len(row[side])
                assert row[side][start:end] == row[side][start:end].strip()
                ends = end


@pytest.mark.parametrize("pair", PAIRS)
def test_a_source_never_has_two_translations(pair):
    """Formats that look alike in the source would ask for the unknowable."""
    both, seen = languages_of(pair), {}
    for day in range(1, 29):
        moment = dt.datetime(2024, 1 + day % 12, day, day % 24, 30, 15)
        for name in (*phrases.formats(both, "date"), *phrases.formats(both, "time")):
            source, target = phrases.said(both, name, moment)
            assert seen.setdefault(render(source), render(target)) == render(target)
    assert len(seen) > 100


def test_no_two_pairs_share_a_side():
    drawn = cycle([("a", "x"), ("b", "x"), ("a", "y"), ("b", "y"), ("c", "z")])

    def draw():
        return Pair(*next(drawn), [], [])

    found = generated_pairs(draw, (1, 1, 1), random.Random(0), "data=test")
    assert {found.splits[split]["source"][0] for split in SPLITS} == {"a", "b", "c"}
    with pytest.raises(Refused, match="data=test cannot give 4 different pairs"):
        generated_pairs(draw, (2, 1, 1), random.Random(0), "data=test")


def test_corpus_is_a_function_of_seed_and_config():
    first = fingerprint(loaded())
    random.seed(99)
    assert fingerprint(loaded()) == first
    assert fingerprint(loaded(data_seed=2)) != first
    assert fingerprint(loaded(train=301)) != first


def test_an_unknown_locale_is_refused_with_the_nearest():
    with pytest.raises(Refused, match=r"^data\.target: unknown locale 'det' \(did you mean de\?\); valid: ar, .*de.*"):
        loaded(("en", "det"))
    with pytest.raises(Refused, match=r"data\.source: unknown locale 'zh'"):  # CLDR has it, num2words does not
        loaded(("zh", "en"))


def test_a_locale_with_a_territory_is_known_by_any_spelling():
    assert Language("pt-BR", "data.source").locale == Locale("pt", "BR")
    assert "de" in languages()
    assert "year" not in Language("ja", "data.source").kinds


def test_patterns_keep_what_they_are_filled_with():
    slots = [[Segment("a", "x")], [Segment("b", "y")]]
    assert fill("{1}, and then {0}!", slots, "list") == [
        Segment("b", "y"),
        Segment(", "),
        Segment("and then", "list"),
        Segment(" "),
        Segment("a", "x"),
        Segment("!"),
    ]
    assert around("vor 3 Tagen", "3", Segment("drei", "n"), "unit") == [
        Segment("vor ", "unit"),
        Segment("drei", "n"),
        Segment(" Tagen", "unit"),
    ]
    assert around("يومان", "2", Segment("2", "n"), "unit") == [Segment("يومان", "unit")]


@pytest.mark.parametrize("code", languages())
def test_every_language_can_make_phrases(code):
    both = (Language(code, "data.source"), Language("en" if code != "en" else "de", "data.target"))
    rng = random.Random(0)
    for _ in range(40):
        for said in map(render, phrase(rng, both)):
            assert said.strip()
            assert not re.search(r"[{}_]|[a-z]-(hour|meter|gram|byte|day|week)\b", said)  # no pattern, no key of CLDR
