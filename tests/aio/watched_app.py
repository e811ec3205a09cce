"""An app at work as far as metrics and health checks look at one, with every number settable."""

from dataclasses import dataclass, field

from rawbot.exchange import Figure


@dataclass
class FakeEngine:
    """The numbers of an engine."""

    connections: set[object] = field(default_factory=set)
    pending: int = 0
    handlers: int = 0
    waiting: int = 0
    sending: int = 0
    queued: int = 0
    lag: float = 0.0
    max_lag: float = 0.0
    started: bool = True
    draining: bool = False
    shown: list[tuple[str, Figure]] = field(default_factory=list)

    def figures(self) -> list[tuple[str, Figure]]:
        return self.shown


class FakeApp:
    """An app that runs with these numbers, or with None does not."""

    def __init__(self, **numbers: object) -> None:
        self.running: FakeEngine | None = FakeEngine(**numbers)
