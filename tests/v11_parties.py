"""An implementation of OneBot 12 with its face of OneBot 11, and handlers that run without a loop."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine

from onebot_parts import Clock, Data, Gate, make

from rawbot.event import Event
from rawbot.onebot import events
from rawbot.onebot.events import OneBotEvent
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.messages import Account, Message
from rawbot.onebot.performing import run
from rawbot.onebot.retcodes import ActionError
from rawbot.onebot.v11.face import Face
from rawbot.onebot.v11.faces import Faces
from rawbot.onebot.v11.settings import V11HTTP, V11Connection

NUMBER = 10_001
BOT = Account("loop", str(NUMBER))


class Handlers:
    """Runs handlers as a loop does: later, in turns, each as far as it comes."""

    def __init__(self) -> None:
        self.raised: list[BaseException] = []
        self._running: deque[tuple[Event, Coroutine[object, None, None] | None]] = deque()
        """With what runs, once it does."""

    def dispatch(self, event: Event) -> None:
        self._running.append((event, None))

    def go_on(self) -> None:
        """Let all go on, those too that begin meanwhile, until each waits."""
        waiting = 0
        while waiting < len(self._running):
            event, coroutine = self._running.popleft()
            coroutine = coroutine or run(event, event.reply)
            try:
                coroutine.send(None)
            except StopIteration:
                waiting = 0
                event.reply.finish()
            except BaseException as error:  # noqa: BLE001 - whatever a handler raises
                waiting = 0
                self.raised.append(error)
                event.reply.fail()
            else:
                waiting += 1
                self._running.append((event, coroutine))

    def stop(self) -> None:
        while self._running:
            event, coroutine = self._running.popleft()
            if coroutine is not None:
                coroutine.close()
            event.reply.cancel("shutdown")


class Party:
    """One bot of a number, whose messages are kept; `wait` waits at the gate of that name, `fail` fails."""

    def __init__(self, connection: V11Connection | None = None, **options: object) -> None:
        self.implementation: Implementation = make(bots=[BOT.user_id], **options)
        self.clock: Clock = self.implementation.clock
        self.faces = Faces(self.implementation)
        self.face: Face = self.faces.face_for(connection or V11HTTP())
        self.handlers = Handlers()
        self.sent: list[Data] = []
        self.gates: dict[str, Gate] = {}
        for name in ("send_message", "wait", "upload_file", "fail", "stop"):
            self.implementation.action(name)(getattr(self, f"_{name}"))

    def gate(self, name: str) -> Gate:
        return self.gates.setdefault(name, Gate())

    def open(self, name: str) -> None:
        self.gate(name).open = True
        self.handlers.go_on()

    def tick(self, seconds: float) -> None:
        self.clock.now += seconds
        self.faces.performer.tick(self.clock.now)

    def _send_message(self, message: Message, **to: object) -> Data:
        del to["detail_type"]
        self.sent.append({"text": "".join(str(s.data.get("text", s.type)) for s in message), **to})
        return {"message_id": f"m{len(self.sent)}", "time": self.clock.now}

    async def _wait(self, gate: str) -> str:
        await self.gate(gate)
        return gate

    async def _upload_file(self, name: str, type: str, **_: object) -> Data:  # noqa: A002 - the action's
        await self.gate("upload")
        return {"file_id": f"{type} {name}"}

    async def _fail(self) -> None:
        raise ActionError(34_001, "not today")

    def _stop(self) -> None:
        raise asyncio.CancelledError


def said(text: str = "hi", number: int = 1, bot: Account = BOT) -> OneBotEvent:
    """Make the event of a private message."""
    return events.private_message(bot, text, "5", str(number), time=1.0)


def collect(told: list[Data]) -> Callable[[bytes, int], None]:
    """Return what takes answers, and keeps each with its status."""
    return lambda data, status: told.append({**json.loads(data), "http": status})
