"""`python -m rawbot`."""

import sys

from rawbot.cli import main

if __name__ == "__main__":
    sys.exit(main())
