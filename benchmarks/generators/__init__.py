"""What brings the requests of a turn to a server: `wrk` where it is installed, else the built-in generator."""

import contextlib
import shutil
from collections.abc import Iterator

from benchmarks.generators.builtin import BuiltIn, started_builtin
from benchmarks.generators.load import Generator, Load, Outcome
from benchmarks.generators.wrk import Wrk, started_wrk

GENERATORS = ("wrk", "builtin")

__all__ = ["GENERATORS", "BuiltIn", "Generator", "Load", "Outcome", "Wrk", "generating"]


@contextlib.contextmanager
def generating(name: str | None, core: int | None) -> Iterator[Generator]:
    """Make the generator of this name ready, on this core; the better one that is there when none is named."""
    with (started_wrk if (name or preferred()) == "wrk" else started_builtin)(core) as generator:
        yield generator


def preferred() -> str:
    """Return the name of the better generator that this machine has."""
    return "wrk" if shutil.which("wrk") else "builtin"
