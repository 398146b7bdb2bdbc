"""One file for each score function; the file's name is the score's name, its class the name in capitals (see base.py)."""
