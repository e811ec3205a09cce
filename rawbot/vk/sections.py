"""The API's methods as attributes: `api.messages.send`.

Layer 3, pure. No method is known by name here: a new one of VK's works at once.
"""

from collections.abc import Callable

from rawbot.exchange import Promise


class Section:
    """A section of the API, or a method: which one, shows when it is called or asked for more."""

    __slots__ = ("_call", "_name")

    def __init__(self, call: Callable[..., Promise], name: str) -> None:
        if name.startswith("_"):  # copy, pickle and many others ask for such names and want to hear that there is none
            raise AttributeError(name)
        self._call = call
        self._name = name

    def __repr__(self) -> str:
        return f"<Section {self._name}>"

    def __getattr__(self, name: str) -> "Section":
        """Return a method of this section."""
        if name.startswith("_"):
            raise AttributeError(name)
        return Section(self._call, f"{self._name}.{name}")

    def __call__(self, /, **params: object) -> Promise:
        """Call the method; see `VKApi.call`."""
        return self._call(self._name, **params)
