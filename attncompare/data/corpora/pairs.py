"""The dataset ``pairs``: parallel text of the user's own, from files or from the hub."""

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from attncompare.data.files import Column, OwnData, OwnDataConfig

if TYPE_CHECKING:
    from attncompare.data.reading import Columns


class Pairs(OwnData):
    """``data=pairs``: two text files for each split, a table for each, or one table."""

    kind = "parallel"

    class Config(OwnDataConfig):
        """The names of two columns, and what happens to pairs of which a side is blank."""

        source: Column
        target: Column
        keep_empty: bool
        blank_lines: Literal["refuse", "drop"] = "refuse"

        @model_validator(mode="after")
        def _one_way_with_blanks(self) -> "Pairs.Config":
            if self.keep_empty and self.blank_lines == "drop":
                raise ValueError(
                    "keep_empty=true and blank_lines=drop: a blank sentence is kept or dropped; leave one out"
                )
            return self

        @model_validator(mode="after")
        def _two_sides(self) -> "Pairs.Config":
            if self.source == self.target:
                raise ValueError(f"source and target are both '{self.source}'; a pair has two sides")
            return self

    config: Config

    def __init__(self, config: "Pairs.Config", data_seed: int) -> None:
        super().__init__(config, data_seed)
        self.blank_lines = "keep" if config.keep_empty else config.blank_lines

    def columns(self) -> "Columns":
        """Return the two columns."""
        return {"source": ("data.source", self.config.source), "target": ("data.target", self.config.target)}
