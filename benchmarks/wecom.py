"""`wecom-new` and `wecom-poll`: servers over sockets, each a process of its own, beside rawbot in the same rounds.

- wecom-new: distinct encrypted text messages; each opens a stream, whose handler says 300 bytes and ends.
- wecom-poll: polls of streams that were opened before.

How they are measured is told in `race`. What it costs to accept and to close connections is left out.
"""

from collections.abc import Callable, Mapping, Sequence

from benchmarks.contenders import Chosen
from benchmarks.measuring import Progress
from benchmarks.pools import Messages, Polls, Pool
from benchmarks.race import Run, Stage
from benchmarks.race import race as race_stages

ROUNDS = 5
SECONDS = 60.0
CONNECTIONS = (1, 64)

SCENARIOS: Mapping[str, Callable[[], Pool]] = {"wecom-new": Messages, "wecom-poll": Polls}


def race(
    scenario: str,
    chosen: Chosen,
    *,
    connections: Sequence[int],
    rounds: int,
    seconds: float,
    generator: str,
    progress: Progress,
) -> Run:
    """Measure the contenders; `seconds` is about what the rounds of all of them take together.

    What is wrong with a contender is told in the result, and the others go on; so is a Ctrl-C. Raises `Failed` when
    there is no such generator.
    """
    stage = Stage(scenario, SCENARIOS[scenario], connections)
    (run,) = race_stages([stage], chosen, rounds=rounds, seconds=seconds, generator=generator, progress=progress)
    return run
