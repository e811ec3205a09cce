"""What brings the requests of a turn to a server: the built-in generator, or `wrk` where that is asked for.

`wrk` sends more, which counts where a limit's requests per second are looked at. But it sleeps between answers, and the
server pays for waking it: see `builtin`.
"""

import contextlib
from collections.abc import Iterator

from benchmarks.generators.builtin import HINT, BuiltIn, started_builtin
from benchmarks.generators.load import Generator, Load, Outcome
from benchmarks.generators.wrk import Wrk, started_wrk

GENERATORS = ("builtin", "wrk")

__all__ = ["GENERATORS", "HINT", "BuiltIn", "Generator", "Load", "Outcome", "Wrk", "generating"]


@contextlib.contextmanager
def generating(name: str, core: int | None) -> Iterator[Generator]:
    """Make the generator of this name ready, on this core."""
    with (started_wrk if name == "wrk" else started_builtin)(core) as generator:
        yield generator
