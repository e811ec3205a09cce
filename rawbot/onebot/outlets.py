"""The connections that an implementation opens by itself: webhooks and reverse WebSockets.

Layer 3, pure: a `Service` of the app that sends and dials for it. Source: OneBot 12,
connect/communication/http-webhook and websocket-reverse.
"""

import math
from collections.abc import Callable, Iterable

from rawbot.errors import StateError
from rawbot.event import Event
from rawbot.exchange import Channel, Dial, Figure, Service
from rawbot.onebot.channels import OneBotChannel
from rawbot.onebot.implementation import ONEBOT_VERSION, Implementation
from rawbot.onebot.settings import HTTPWebhook, WebSocketReverse
from rawbot.onebot.webhook import Webhook
from rawbot.websocket.handshake import require


class ReverseWebSocket(Dial):
    """A WebSocket to an application, under the sub-protocol `12.<impl>`, which the application need not choose."""

    def __init__(self, implementation: Implementation, settings: WebSocketReverse) -> None:
        headers = [(b"user-agent", implementation.user_agent)]
        if settings.access_token:
            headers.append((b"authorization", b"Bearer " + settings.access_token.encode("ascii")))
        super().__init__(
            settings.url,
            headers=headers,
            subprotocols=(f"{ONEBOT_VERSION}.{implementation.impl}",),
            interval=settings.reconnect_interval / 1000,
            max_size=settings.max_size,
        )
        self._implementation = implementation
        self._max_queue_bytes = settings.max_queue_bytes

    def open(self) -> Channel:
        """Return the channel for one connection."""
        return OneBotChannel(self._implementation, max_queue_bytes=self._max_queue_bytes)


class Outlets(Service):
    """All connections that one implementation opens. Raises `MissingExtraError` where a library for them is missing.

    `complain` tells the operator what goes wrong with webhooks.
    """

    keeps_state = True  # applications know one connection from each bot

    def __init__(
        self,
        implementation: Implementation,
        connections: Iterable[HTTPWebhook | WebSocketReverse],
        *,
        complain: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.implementation = implementation
        self.handlers = implementation.handlers
        connections = list(connections)
        reverse = [settings for settings in connections if isinstance(settings, WebSocketReverse)]
        if reverse:
            require("a reverse WebSocket of OneBot's")
        self.dials = [ReverseWebSocket(implementation, settings) for settings in reverse]
        self.webhooks = [
            Webhook(implementation, settings, self._dispatch, complain=complain)
            for settings in connections
            if isinstance(settings, HTTPWebhook)
        ]
        self.sources = self.webhooks

    def __repr__(self) -> str:
        return f"<Outlets of {self.implementation.impl}>"

    @property
    def deadline(self) -> float:  # type: ignore[override] # a service's is an attribute, this one is that of its parts
        """When `tick` is due."""
        return min([self.implementation.deadline, *(webhook.deadline for webhook in self.webhooks)])

    def start(self, now: float) -> None:
        """Let events go to the webhooks; the first push comes with the first tick."""
        self.implementation.start(now)
        for webhook in self.webhooks:
            webhook.start(now)

    def tick(self, now: float) -> None:
        """Let time pass."""
        self.implementation.tick(now)
        for webhook in self.webhooks:
            webhook.tick(now)

    def drain(self, now: float) -> None:  # noqa: ARG002 - a service's shape
        """Say that it is about to go, and take no more events."""
        self.implementation.drain()
        for webhook in self.webhooks:
            webhook.stop()

    def figures(self) -> Iterable[Figure]:
        """Return the numbers to be watched from outside."""
        for name, help_text in (
            ("pushed", "Events that webhooks took."),
            ("failed", "Pushes that failed."),
            ("dropped", "Events that webhooks were too slow for."),
        ):
            count = sum(getattr(webhook, name) for webhook in self.webhooks)
            yield Figure(f"onebot_webhook_{name}", "counter", count, help_text)

    def unsettled(self) -> int:
        """Count the pushes that wait and get through: shutdown gives them a little time."""
        return sum(webhook.waiting() for webhook in self.webhooks if webhook.enabled and webhook.deadline == math.inf)

    def _dispatch(self, event: Event) -> None:
        if self.dispatch is None:
            raise StateError("these connections belong to no running app")
        self.dispatch(event)
