"""What listens where: connections of one host and port share a socket, as far as they can.

Layer 3, pure. OneBot 12 and 11 mean different things by the same paths, so each has sockets of its own; whoever wants
both on one port mounts them on two paths of an app.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rawbot.errors import ConfigError
from rawbot.onebot.settings import HTTP, WebSocket
from rawbot.onebot.v11.settings import V11HTTP, V11WebSocket


@dataclass(slots=True)
class Place:
    """What is listened for on one host and port: both of OneBot 12, or both of OneBot 11."""

    host: str
    port: int
    is_v11: bool
    http: HTTP | V11HTTP | None = None
    websocket: WebSocket | V11WebSocket | None = None

    @property
    def is_open(self) -> bool:
        """Whether any of it lets everybody in."""
        return any(one is not None and not one.access_token for one in (self.http, self.websocket))

    def take(self, one: HTTP | WebSocket | V11HTTP | V11WebSocket) -> bool:
        """Let this be listened for here, too; False where something of its kind is."""
        is_http = isinstance(one, HTTP | V11HTTP)
        if self.is_v11 is not _is_v11(one) or (self.http if is_http else self.websocket) is not None:
            return False
        if isinstance(one, HTTP | V11HTTP):
            self.http = one
        else:
            self.websocket = one
        return True


def group(connections: Iterable[object]) -> list[Place]:
    """Put together what shares a socket; what is opened by ourselves is left out.

    Of port 0, which is another one for each socket, there are as many sockets as are needed. Raises `ConfigError` for
    two connections of a kind on one, and for OneBot 12 and 11 on one.
    """
    places: list[Place] = []
    for one in connections:
        if not isinstance(one, HTTP | WebSocket | V11HTTP | V11WebSocket):
            continue
        same = [place for place in places if (place.host, place.port) == (one.host, one.port)]
        if any(place.take(one) for place in same):
            continue
        if same and one.port:
            raise ConfigError(_told(one, same[0]))
        place = Place(one.host, one.port, _is_v11(one))
        place.take(one)
        places.append(place)
    return places


def _is_v11(one: object) -> bool:
    return isinstance(one, V11HTTP | V11WebSocket)


def _told(one: HTTP | WebSocket | V11HTTP | V11WebSocket, place: Place) -> str:
    if _is_v11(one) is place.is_v11:
        return f"two connections of one kind cannot share {one.host}:{one.port}"
    return f"OneBot 12 and 11 cannot share {one.host}:{one.port}: mount them on two paths of an app"
