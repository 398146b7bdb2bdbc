"""The console script ``attncompare``."""

from attncompare.cli.main import main

__all__ = ["main"]
