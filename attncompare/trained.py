"""A trained run, loaded from its folder: its model, ready for new sentences."""

from pathlib import Path

from attncompare.data.module import Probe
from attncompare.data.tokenizer import BOS, EOS, Tokenizer
from attncompare.errors import Refused
from attncompare.tasks import Task, build_task
from attncompare.tasks.translation import Translation
from attncompare.tracking.maps import ProbeMaps
from attncompare.tracking.probing import probe_maps
from attncompare.tracking.reading import WEIGHTS_LIMIT, require_no_way_out
from attncompare.tracking.record import Run
from attncompare.tracking.weights import require_weights_of, weights_from


class TrainedRun:
    """The model of a finished run that was tested: the one with the lowest validation loss, or the mean of the last ones.

    Args:
        run: the record.

    Raises:
        Refused: if the run is not finished, or its files are damaged.
    """

    def __init__(self, run: Run) -> None:
        self.run = run.require_finished()
        require_no_way_out(run.path)  # pages of new sentences are written there
        self.tokenizer = self._tokenizer("tokenizer.json")
        source = None if run.config.data.tokenizer.joint else self._tokenizer("source_tokenizer.json")
        self.source_tokenizer = source or self.tokenizer
        weights, file = run.read(run.tested_weights, WEIGHTS_LIMIT), run.path / run.tested_weights
        require_weights_of(run.config, lambda: build_task(run.config, self.tokenizer, source).model, weights, file)
        self.task: Task = build_task(run.config, self.tokenizer, source)
        weights_from(weights, file, self.task.model)
        self.task.eval()

    def attention(self, text: str) -> ProbeMaps:
        """Return the maps of a source and its greedy translation, or of a text as the language model reads it.

        Raises:
            Refused: if the text is empty or longer than the run's ``task.max_length``.
        """
        ids = self.source_tokenizer.encode(text).ids
        longest = self.run.config.task.max_length
        if not ids:
            raise Refused("the sentence is empty")
        if len(ids) >= longest:
            raise Refused(f"the sentence has {len(ids)} tokens; this run reads fewer than {longest}")
        return probe_maps(self.task, 0, self._probe(ids))

    def _tokenizer(self, name: str) -> Tokenizer:
        return Tokenizer.parse(self.run.read(name), self.run.path / name)

    def _probe(self, ids: list[int]) -> Probe:
        if not isinstance(self.task, Translation):
            # The last token only closes the sequence: the maps show what is read before it.
            return Probe(None, [BOS, *ids, EOS], None, None)
        source_ids = [*ids, EOS]
        return Probe(source_ids, [BOS, *self.task.translate_ids(source_ids)], None, None)


def load(path: str | Path) -> TrainedRun:
    """Load the finished run in the folder ``path``."""
    return TrainedRun(Run.open(path))
