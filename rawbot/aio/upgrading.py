"""What becomes of a request that an endpoint has answered with an `Upgrade`.

Engine room, pure.
"""

from rawbot.aio.host import Host
from rawbot.errors import ConfigError, ProtocolError, StateError
from rawbot.exchange import Request, Response, Upgrade
from rawbot.http.responses import FAILED, UNAVAILABLE, refusal
from rawbot.websocket.handshake import Handshake, accept


def shake_hands(engine: Host, upgrade: Upgrade, request: Request) -> Handshake | Response:
    """Return the handshake, or what the request is answered when there is none."""
    if engine.draining:
        return UNAVAILABLE
    try:
        return accept(request, upgrade, engine.websocket, engine.time())
    except ProtocolError as error:
        return refusal(error)
    except (ConfigError, StateError) as error:
        engine.note_failure("a WebSocket cannot be opened", error)
        return FAILED
