"""`onebot`: actions of OneBot 12 over HTTP and WebSocket, beside pylibob and a minimal server on aiohttp.

- onebot-http: `echo_text`, which gives back the text that it is given, over kept HTTP connections.
- onebot-http-new: the same, each over a connection of its own, which the client closes when it has its answer. Here to
  accept and to close is part of what an action costs; elsewhere it is left out.
- onebot-ws: the same over kept WebSocket connections, without compression.
- onebot-http-status, onebot-ws-status: `get_status`, at the largest number of connections.

How they are measured is told in `race`. An action is sent on a connection when the one before is answered, and each
answer must be right: its status, its echo, its data. No token is asked for. pylibob takes part without the access log
that its own `run` writes, and with it (`pylibob-run`).
"""

from collections.abc import Sequence
from functools import partial

from benchmarks.actions import ECHO_TEXT, GET_STATUS, Actions
from benchmarks.contenders import Chosen
from benchmarks.generators.load import Way
from benchmarks.measuring import Progress
from benchmarks.race import Run, Stage
from benchmarks.race import race as race_stages

ROUNDS = 5
SECONDS = 90.0
CONNECTIONS = (1, 16, 64)

HTTP, HTTP_NEW, WEBSOCKET = "onebot-http", "onebot-http-new", "onebot-ws"

_WAYS: tuple[tuple[str, Way], ...] = ((HTTP, "kept"), (HTTP_NEW, "new"), (WEBSOCKET, "websocket"))
_OF_STATUS: tuple[tuple[str, Way], ...] = ((f"{HTTP}-status", "kept"), (f"{WEBSOCKET}-status", "websocket"))


def race(chosen: Chosen, *, connections: Sequence[int], rounds: int, seconds: float, progress: Progress) -> list[Run]:
    """Measure the contenders in each scenario; `seconds` is about what the rounds of all of them take together.

    What is wrong with a contender is told in the results, and the others go on; so is a Ctrl-C.
    """
    stages = [Stage(name, partial(Actions, ECHO_TEXT, way), connections) for name, way in _WAYS]
    stages += [Stage(name, partial(Actions, GET_STATUS, way), [max(connections)]) for name, way in _OF_STATUS]
    return race_stages(stages, chosen, rounds=rounds, seconds=seconds, generator="builtin", progress=progress)
