"""`vk`: new messages by VK's Callback API, beside vkflow's WebhookApp and a bare handler on aiohttp.

- vk-callback: a message_new of 600 bytes to its `ok`, over kept connections.
- vk-callback-new: the same, each over a connection of its own, which the client closes when it has its answer. Here to
  accept and to close is part of what an event costs; in the other it is left out.

How they are measured is told in `race`. Each event has an event_id of its own and comes from another user, so that
nobody has it easy for knowing it already; each is answered with `ok` exactly, and each is handled once: by a coroutine
that counts, which the bare handler does itself. vkflow takes part as it comes, and without its log (`vkflow-quiet`).
rawbot remembers the events for two hours; so the memory is told that each server held before them and after.
"""

from collections.abc import Sequence
from functools import partial

from benchmarks.contenders import Chosen
from benchmarks.deliveries import Deliveries
from benchmarks.generators.load import Way
from benchmarks.measuring import Progress
from benchmarks.race import Run, Stage
from benchmarks.race import race as race_stages

ROUNDS = 5
SECONDS = 90.0
CONNECTIONS = (1, 64)

_WAYS: tuple[tuple[str, Way], ...] = (("vk-callback", "kept"), ("vk-callback-new", "new"))


def race(chosen: Chosen, *, connections: Sequence[int], rounds: int, seconds: float, progress: Progress) -> list[Run]:
    """Measure the contenders in each scenario; `seconds` is about what the rounds of all of them take together.

    What is wrong with a contender is told in the results, and the others go on; so is a Ctrl-C.
    """
    stages = [Stage(name, partial(Deliveries, way), connections) for name, way in _WAYS]
    return race_stages(stages, chosen, rounds=rounds, seconds=seconds, generator="builtin", progress=progress)
