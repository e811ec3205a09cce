"""The rehearsal: one worker, played again from the start whenever something was changed.

Layer 1, pure; for development. Unlike on the roster, the old worker goes before the new one comes, so that the two
never meet in a file or a database, and one that fails is not followed: the next change may have mended it.

              restart                     gone
    PLAYING ──────────▶ CLEARING ─────────────────────▶ PLAYING
       │ gone                                              ▲ restart
       └────────────────────────────▶ WAITING ─────────────┘
              stop, from each of them: STOPPING, and OVER when nobody is left
"""

import enum
import math

from rawbot.crew.orders import Announce, Exit, Kill, Order, Start, Tell, Terminate, describe
from rawbot.errors import ConfigError, StateError


class Scene(enum.Enum):
    """Where the rehearsal stands; see the picture at the top of the file."""

    WAITING = enum.auto()
    PLAYING = enum.auto()
    CLEARING = enum.auto()
    STOPPING = enum.auto()
    OVER = enum.auto()


_SCENES = {
    Scene.WAITING: (Scene.PLAYING, Scene.STOPPING),
    Scene.PLAYING: (Scene.WAITING, Scene.CLEARING, Scene.STOPPING),
    Scene.CLEARING: (Scene.PLAYING, Scene.STOPPING),
    Scene.STOPPING: (Scene.OVER,),
    Scene.OVER: (),
}


class Rehearsal:
    """Has one worker, asked to end at each change and killed `graceful` seconds later. Spoken to as a `Roster` is."""

    def __init__(self, *, graceful: float = 5.0) -> None:
        if not math.isfinite(graceful) or graceful < 0:
            raise ConfigError("graceful must be a finite number of seconds, 0 or more")
        self._graceful = graceful
        self._scene = Scene.WAITING
        self._worker: int | None = None
        self._started = 0
        self._deadline = -math.inf

    @property
    def scene(self) -> Scene:
        """Where it stands."""
        return self._scene

    @property
    def deadline(self) -> float | None:
        """When to call `tick` although nothing has happened; None for never."""
        return None if self._deadline == math.inf else self._deadline

    def tick(self, now: float) -> list[Order]:
        """Begin, or do what is due."""
        if self._deadline > now:
            return []
        if self._worker is None:
            return self._play()
        self._deadline = math.inf
        late = Tell(f"has not ended within {self._graceful:g} s: it is killed", self._worker, fault=True)
        return [late, Kill(self._worker)]

    def note_ready(self, number: int, now: float) -> list[Order]:  # noqa: ARG002 - a plan is told when
        """Note that the worker serves."""
        if number != self._worker or self._scene is not Scene.PLAYING:
            return []
        return [Tell("is ready", number), Announce("ready")]

    def note_stopping(self, number: int, now: float) -> list[Order]:  # noqa: ARG002 - a plan is told of whom and when
        """Note that the worker ends by its own will, which changes nothing before it has."""
        return []

    def note_end(self, number: int, status: int, now: float) -> list[Order]:  # noqa: ARG002 - a plan is told when
        """Note that the worker is gone; nobody follows before the next change, unless that was the reason."""
        if number != self._worker:
            return []
        self._worker = None
        if self._scene is Scene.STOPPING:
            return self._exit()
        if self._scene is Scene.CLEARING:
            return self._play()
        self._move(Scene.WAITING)
        return [Tell(f"{describe(status)}: waiting for a change", number, fault=True)]

    def restart(self, now: float) -> list[Order]:
        """Note that something was changed."""
        if self._scene is Scene.WAITING:
            return self._play()
        if self._scene is not Scene.PLAYING or self._worker is None:
            return []
        self._move(Scene.CLEARING)
        self._deadline = now + self._graceful
        return [Tell("is started again: something was changed", self._worker), Terminate(self._worker)]

    def stop(self, now: float) -> list[Order]:
        """Ask the worker to end; asked again, kill it."""
        if self._scene is Scene.OVER:
            return []
        if self._scene is Scene.STOPPING:
            self._deadline = math.inf
            return [] if self._worker is None else [Kill(self._worker)]
        asked = self._scene is Scene.CLEARING
        self._move(Scene.STOPPING)
        if self._worker is None:
            return [Announce("stopping"), *self._exit()]
        if asked:
            return [Announce("stopping")]
        self._deadline = now + self._graceful
        return [Announce("stopping"), Terminate(self._worker)]

    def _move(self, scene: Scene) -> None:
        if scene not in _SCENES[self._scene]:
            raise StateError(f"a rehearsal cannot go from {self._scene.name} to {scene.name}")
        self._scene = scene

    def _play(self) -> list[Order]:
        self._move(Scene.PLAYING)
        self._deadline = math.inf
        self._started += 1
        self._worker = self._started
        return [Start(self._worker, 0)]

    def _exit(self) -> list[Order]:
        self._move(Scene.OVER)
        self._deadline = math.inf
        return [Exit(0)]
