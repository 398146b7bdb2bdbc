"""The kinds of data (:attr:`attncompare.data.dataset.Dataset.kind`), a module for each: sets of encoded rows and their probes."""

from attncompare.data.kinds.base import DataKind, Probe, SplitSet
from attncompare.data.kinds.labelled import Labelled
from attncompare.data.kinds.parallel import Parallel
from attncompare.data.kinds.speech import Speech
from attncompare.data.kinds.text import Text

__all__ = ["KINDS", "DataKind", "Probe", "SplitSet"]
KINDS: dict[str, type[DataKind]] = {"labelled": Labelled, "parallel": Parallel, "speech": Speech, "text": Text}
