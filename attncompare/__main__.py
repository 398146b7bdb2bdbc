"""``python -m attncompare``: the same as the command ``attncompare``."""

import sys

from attncompare.cli import main

if __name__ == "__main__":
    sys.exit(main())
