"""The three splits of every corpus."""

SPLITS = ("train", "val", "test")
