"""The dataset ``homographs``: sentences with a word of two meanings, and which of the two it has there.

All is written in small letters, so that the other words alone tell a company from a fruit.
"""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attncompare.data.dataset import SPLITS, Dataset, GeneratedConfig
from attncompare.errors import Refused

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus


@dataclass(frozen=True)
class Sense:
    """One meaning of a word: what is done to it (``verbs``) and what is near it (``companions``), four and six words."""

    word: str
    meaning: str
    verbs: tuple[str, ...]
    companions: tuple[str, ...]

    @property
    def label(self) -> str:
        """How the meaning is called: "apple (fruit)"."""
        return f"{self.word} ({self.meaning})"


def _senses() -> tuple[Sense, ...]:
    return tuple(
        Sense(word, meaning, tuple(verbs.split()), tuple(companions.split()))
        for word, meaning, verbs, companions in (
            ("apple", "fruit", "eat buy peel wash", "orange pear juice pie basket orchard"),
            ("apple", "company", "use sue praise join", "smartphone products model laptop developers software"),
            ("bank", "money", "pay owe call trust", "loan account money credit clerk cheque"),
            ("bank", "river", "reach climb flood follow", "river water mud boat reeds bridge"),
            ("bat", "animal", "feed fear free chase", "cave wings insects owl night moth"),
            ("bat", "sport", "swing hold raise oil", "ball pitch player game glove team"),
            ("crane", "bird", "feed watch protect ring", "feathers nest lake marsh eggs heron"),
            ("crane", "machine", "operate repair rent load", "steel builders tower concrete harbour cargo"),
            ("nail", "finger", "paint bite file polish", "thumb hand toe skin glove fingertip"),
            ("nail", "metal", "hammer bend straighten rust", "wood screw plank wall tools carpenter"),
            ("organ", "music", "play tune hear build", "church hymn choir pipes concert piano"),
            ("organ", "body", "donate transplant examine cool", "heart liver surgeon patient blood hospital"),
            ("pupil", "school", "teach help praise test", "teacher lesson school homework book exam"),
            ("pupil", "eye", "narrow measure widen examine", "iris eye light lens doctor sight"),
            ("seal", "animal", "feed hunt rescue stroke", "ice fish whale penguin zoo sea"),
            ("seal", "stamp", "break press forge print", "letter wax document envelope king signature"),
            ("star", "sky", "observe discover name see", "planet telescope galaxy moon sky comet"),
            ("star", "person", "interview hire admire film", "actor movie fans stage director award"),
            ("trunk", "tree", "saw climb measure carve", "leaves roots branches forest oak moss"),
            ("trunk", "luggage", "pack lock open carry", "clothes journey shoes train hotel ticket"),
        )
    )


SENSES = _senses()
"""Ten words with two meanings each, which share no verb and no companion."""
TEMPLATES = (
    "please {verb} the {word} and the {one}",
    "I want to {verb} the {word} with the {one}",
    "{word}s were new , and so was the {one}",
    "did you {verb} a {word} or the {one} today",
    "I enjoy {doing} {word}s near the {one}",
    "I also love {doing} the {word} and the {one}",
    "the {one} and an old {word} were all we had",
    "my friends {verb} every {word} because of the {one}",
    "a {word} , the {one} and the {other} were in the picture",
    "{word} and {one} were mentioned without the {other}",
)
HELD_OUT = (
    "my friends were near the {word} and the {one}",
    "did you want the {one} , the {other} and the {word}",
    "I love to {verb} a {word} today because of the {one}",
    "without the {one} I had to {verb} every old {word}",
)


class Homographs(Dataset):
    """``data=homographs``: a sentence and the meaning of its word; test has sentences of forms that train does not have.

    Val is drawn like train. No sentence stands in two splits, or twice in one.
    """

    kind = "labelled"
    Config = GeneratedConfig
    config: GeneratedConfig

    def load(self) -> "Corpus":
        """Generate the corpus, a pure function of config and seed; refused if there are not so many sentences."""
        from attncompare.data.corpus import corpus

        rng, (train, val, test) = random.Random(f"homographs {self.data_seed}"), self.config.sizes
        known = _drawn(rng, TEMPLATES, train + val, "train_size + val_size")
        unknown = _drawn(rng, HELD_OUT, test, "test_size")
        columns = {}
        for split, rows in zip(SPLITS, (known[:train], known[train:], unknown), strict=True):
            rng.shuffle(rows)
            columns[split] = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
        return corpus(columns)


def doing(verb: str) -> str:
    """Return the form of a verb that ends in -ing; none of ours doubles its last letter."""
    return f"{verb[:-1] if verb.endswith('e') and not verb.endswith('ee') else verb}ing"


def _drawn(rng: random.Random, templates: tuple[str, ...], size: int, what: str) -> list[tuple[str, str]]:
    """Return ``size`` different sentences with their labels, which take turns."""
    rows = []
    pools = {sense.label: _sentences(sense, templates) for sense in SENSES}
    most = len(SENSES) * min(map(len, pools.values()))
    if size > most:
        raise Refused(f"data=homographs: there are {most} different sentences; {what} must be at most that, not {size}")
    for pool in pools.values():
        rng.shuffle(pool)
    for number in range(size):
        label = SENSES[number % len(SENSES)].label
        rows.append((pools[label].pop(), label))
    return rows


def _sentences(sense: Sense, templates: tuple[str, ...]) -> list[str]:
    """Return all sentences of a meaning, each once, in a fixed order."""
    filled = (
        template.format(word=sense.word, verb=verb, doing=doing(verb), one=one, other=other)
        for template in templates
        for verb in sense.verbs
        for one in sense.companions
        for other in sense.companions
        if one != other
    )
    return [_with_an(text) for text in dict.fromkeys(filled)]


def _with_an(text: str) -> str:
    """Return ``text`` with "an" before vowels."""
    words = text.split(" ")
    return " ".join(
        "an" if word == "a" and after[:1] in "aeiou" else word
        for word, after in zip(words, [*words[1:], "-"], strict=True)
    )
