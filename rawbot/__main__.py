"""`python -m rawbot`.

Layer 4. Until the command line is there to answer it, Ctrl-C ends the program at once: there is nothing to clean up
yet, and a traceback through half an import tells nobody anything.
"""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130
"""The exit status; see the top of cli.py."""


def main() -> int:
    """Import the command line and carry it out; return the exit status."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # and not when whoever started us has it ignored
        signal.signal(signal.SIGINT, _leave)
    from rawbot.cli import main as carry_out  # noqa: PLC0415 - this import is what may take a while

    signal.signal(signal.SIGINT, usual)
    return carry_out()


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
