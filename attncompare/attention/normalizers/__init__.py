"""One file for each normalizer; the file's name is the normalizer's name, its class the name in capitals (see base.py)."""
