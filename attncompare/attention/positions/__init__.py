"""One file for each scheme of positions inside attention; the file's name is its name, its class the name in capitals."""
