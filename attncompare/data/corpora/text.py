"""The dataset ``text``: documents of the user's own, from files or from the hub, in one line for a language model."""

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from attncompare.config.values import PositiveOrNull
from attncompare.data.files import Column, OwnData, OwnDataConfig

if TYPE_CHECKING:
    from attncompare.data.reading import Columns


class Text(OwnData):
    """``data=text``: each file of plain text is a document, and each row of a table."""

    kind = "text"

    class Config(OwnDataConfig):
        """The column, whether rows without text stay, and how many documents are taken where not all are fetched."""

        column: Column
        blank_lines: Literal["keep", "drop"] = "keep"
        streaming: bool
        max_documents: PositiveOrNull

        @model_validator(mode="after")
        def _streams_end(self) -> "Text.Config":
            if self.streaming and self.max_documents is None:
                raise ValueError("data.streaming=true needs data.max_documents: the first so many documents are taken")
            if not self.streaming and self.max_documents is not None:
                raise ValueError(f"data.max_documents={self.max_documents} needs data.streaming=true")
            return self

    config: Config

    def __init__(self, config: "Text.Config", data_seed: int) -> None:
        super().__init__(config, data_seed)
        self.first, self.blank_lines = config.max_documents, config.blank_lines

    def columns(self) -> "Columns":
        """Return the one column."""
        return {"text": ("data.column", self.config.column)}
