"""The schema of ``data``: one section for each dataset, which declares it (:class:`attncompare.data.dataset.Dataset`)."""

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Discriminator, Tag

from attncompare.data.dataset import DatasetConfig
from attncompare.registry import load, names

_CLASSES = {name: load("datasets", name) for name in names("datasets")}
PAIRS = tuple(name for name, one in _CLASSES.items() if one.kind == "pairs")
TEXT = tuple(name for name, one in _CLASSES.items() if one.kind == "text")


def _name(values: Any) -> str | None:
    return values.get("name") if isinstance(values, dict) else getattr(values, "name", None)


if TYPE_CHECKING:
    Data = DatasetConfig
else:
    _SECTIONS = tuple(Annotated[one.Config, Tag(name)] for name, one in _CLASSES.items())
    Data = Annotated[Union[_SECTIONS], Discriminator(_name)]  # noqa: UP007

# For the rooms that still ask for a section by its class.
CorpusConfig = DatasetConfig
LocaleConfig, RecallConfig, ReverseConfig = (_CLASSES[name].Config for name in ("locale", "recall", "reverse"))
