"""The API client: `await api.messages.send(peer_id=1, message="…")`.

Layer 3, pure: chance comes in as `entropy`, and time by the shell (`traffic`). Sources: dev.vk.com/ru/api/api-requests,
dev.vk.com/ru/method.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from typing import Protocol

from rawbot.errors import ConfigError, StateError
from rawbot.exchange import Promise
from rawbot.vk.access import API_URL, API_VERSION, Access
from rawbot.vk.calls import Call, CallQueue, always
from rawbot.vk.errors import VKError
from rawbot.vk.methods import EncodedCall, check_method, encode_params, is_idempotent
from rawbot.vk.rates import COMMUNITY_RATE, Bucket
from rawbot.vk.sections import Section
from rawbot.vk.traffic import Traffic
from rawbot.vk.uploads import DOCUMENT, DOCUMENT_KINDS, PHOTO, Kind, OnDone, Upload, Wanted

TIMEOUT = 30.0
"""Seconds for a call, with all its waiting and repetitions: who waits for an answer is gone after that."""

UPLOAD_TIMEOUT = 120.0
"""Seconds in which a file must have arrived: those of the shell's client."""

MAX_WAITING = 1000
"""Calls that wait at once: somewhat more than what goes out within `TIMEOUT` at 20 a second."""


class _Start(Protocol):
    def __call__(self, on_done: OnDone, *, wanted: Wanted) -> None: ...


class VKApi(Traffic):
    """The API with one token, any method by attribute or by name: `await api.call("users.get", user_ids=[1, 2])`.

    - `rate`: calls a second, `COMMUNITY_RATE` or `USER_RATE`.
    - `timeout`: seconds for one call; `max_waiting`: calls that wait at once. What goes beyond ends in a
      `CallTimeoutError` or a `QueueFullError`.
    - `batch`: calls made while another one is under way go together by `execute`, up to 25 as one.
    - `url`, `version`: where and of which version the API is. `entropy(n)`: n random bytes.

    Calls start in the order in which they were made, but several are under way at once: await the first where the order
    of two counts. One whose promise was cancelled before it started is not sent. Raises `ConfigError` for settings that
    cannot work.
    """

    promise: Callable[[], Promise] | None = None
    """Set when it is attached: makes what `call` returns."""

    def __init__(
        self,
        token: str,
        *,
        version: str = API_VERSION,
        url: str = API_URL,
        rate: int = COMMUNITY_RATE,
        timeout: float = TIMEOUT,
        max_waiting: int = MAX_WAITING,
        batch: bool = False,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if not 0 < timeout < inf:
            raise ConfigError("the timeout of calls is a number of seconds above 0")
        access = Access(token, url, version)
        super().__init__(access, Bucket(rate), CallQueue(max_waiting), batch=batch, entropy=entropy)
        self._timeout = timeout

    def __repr__(self) -> str:
        return "<VKApi>"

    @property
    def access(self) -> Access:
        """Where the API is, and who we are there."""
        return self._access

    def __getattr__(self, name: str) -> Section:
        """Return a section of the API, as `messages`, or a method that stands in none, as `execute`."""
        return Section(self.call, name)

    def call(self, method: str, /, **params: object) -> Promise:
        """Call a method by name; what is returned can be awaited, and raises `VKError` then.

        Lists are joined by commas, objects become JSON, what is None is left out. A `messages.send` without `random_id`
        gets one. Raises `StateError` at once while no app runs, and for what cannot be sent.
        """
        return self._promised(partial(self.submit, method, params))

    def submit(
        self,
        method: str,
        params: Mapping[str, object],
        on_done: OnDone,
        *,
        timeout: float | None = None,
        idempotent: bool | None = None,
        wanted: Wanted = always,
    ) -> None:
        """Call a method without awaiting: `on_done` is told its result or a `VKError`, once, maybe in this very call.

        `idempotent` tells whether it may be repeated although it may have taken effect, where that is known better than
        by `is_idempotent`. When its turn comes and `wanted` returns False, it is dropped without a word. After a
        `ShutdownError` or `QueueFullError`, `on_done` must not make a call at once. Raises `StateError` for what cannot
        be sent.
        """
        check_method(method)
        fields = encode_params(params)
        if method == "messages.send" and "random_id" not in fields:
            fields["random_id"] = str(int.from_bytes(self._entropy(8), "big") % (2**31 - 1) + 1)
        safe = is_idempotent(method, fields) if idempotent is None else idempotent
        self.admit(Call(method, fields, on_done, timeout or self._timeout, safe, wanted))

    def post(
        self, what: str, request: EncodedCall, decode: Callable[[int, bytes], object], on_done: OnDone, wanted: Wanted
    ) -> None:
        """Make a request beside the API, which may be repeated; tell `on_done` what `decode` makes of the answer."""
        timeout = max(UPLOAD_TIMEOUT, self._timeout)
        self.admit(Call(what, {}, on_done, timeout, idempotent=True, wanted=wanted, upload=request, decode=decode))

    def upload_photo(self, data: bytes, *, peer_id: int | None = None, name: str = "photo.jpg") -> Promise:
        """Upload a photo for a message; awaiting gives the name that goes in `attachment`, or raises `VKError`."""
        return self._promised(partial(self.upload, PHOTO, data, name, {"peer_id": peer_id}))

    def upload_document(self, data: bytes, *, name: str, peer_id: int | None = None, kind: str = "doc") -> Promise:
        """Upload a document, or by `kind` an `audio_message` or `graffiti`; see `upload_photo`."""
        if kind not in DOCUMENT_KINDS:
            raise StateError(f"the kind of a document is one of {', '.join(DOCUMENT_KINDS)}")
        return self._promised(partial(self.upload, DOCUMENT, data, name, {"peer_id": peer_id, "type": kind}))

    def upload(
        self,
        kind: Kind,
        data: bytes,
        name: str,
        params: Mapping[str, object],
        on_done: OnDone,
        *,
        wanted: Wanted = always,
    ) -> None:
        """Upload without awaiting: `on_done` is told the attachment's name or a `VKError`; see `submit`."""
        Upload(self, kind, data, name, on_done, wanted, self._entropy, self._access.https).start(params)

    def _promised(self, start: _Start) -> Promise:
        if self.promise is None:
            raise StateError("the API can be called once an app with it runs")
        promise = self.promise()
        start(partial(_keep, promise), wanted=lambda: not promise.done())
        return promise


def _keep(promise: Promise, outcome: object) -> None:
    """Keep a promise, if anybody still waits for it."""
    if promise.done():
        return
    if isinstance(outcome, VKError):
        promise.set_exception(outcome)
    else:
        promise.set_result(outcome)
