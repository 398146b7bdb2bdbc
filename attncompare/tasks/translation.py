"""``task=translation``: a source sentence becomes a target sentence."""

from attncompare.tasks.pairs import PairTask, TextPairConfig


class Translation(PairTask):
    """Sentences and their translations."""

    title = "Translation"
    Config = TextPairConfig
