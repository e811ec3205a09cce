"""VK's callback servers, played by the test: the methods that the set-up and the watch call."""

from collections.abc import Generator

from vk_samples import GROUP, Json

from rawbot.vk.errors import VKError

URL = "https://bot.example/webhook"


class Told:
    """What a call is answered, to be awaited."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome

    def __await__(self) -> Generator[None, None, object]:
        if isinstance(self.outcome, VKError):
            raise self.outcome
        return self.outcome
        yield


class Servers:
    """A community's servers. `status_after` is what VK says of one that was added or edited."""

    def __init__(self, *servers: Json) -> None:
        self.items: list[Json] = list(servers)
        self.settings: dict[int, Json] = {}
        self.calls: list[str] = []
        self.edits: list[Json] = []
        self.status_after = "ok"
        self.faults: dict[str, object] = {}

    def call(self, method: str, /, **params: object) -> Told:
        self.calls.append(method)
        assert params.pop("group_id") == GROUP
        if method in self.faults:
            return Told(self.faults[method])
        return Told(getattr(self, method.removeprefix("groups."))(**params))

    @property
    def changes(self) -> list[str]:
        return [method for method in self.calls if ".get" not in method]

    def getCallbackServers(self) -> Json:  # noqa: N802 - the vendor's name
        return {"count": len(self.items), "items": self.items}

    def addCallbackServer(self, url: str, title: str, secret_key: str | None) -> Json:  # noqa: N802
        item = server(len(self.items) + 1, url=url, title=title, secret_key=secret_key or "", status=self.status_after)
        self.items.append(item)
        self.settings[item["id"]] = {"api_version": "5.131", "events": {}}
        return {"server_id": item["id"]}

    def editCallbackServer(self, server_id: int, url: str, title: str, secret_key: str | None) -> int:  # noqa: N802
        (item,) = [item for item in self.items if item["id"] == server_id]
        item |= {"url": url, "title": title, "secret_key": secret_key or "", "status": self.status_after}
        self.edits.append(dict(item))
        return 1

    def getCallbackSettings(self, server_id: int) -> Json:  # noqa: N802
        return self.settings.get(server_id, {"api_version": "5.131", "events": {}})

    def setCallbackSettings(self, server_id: int, api_version: str, **events: int) -> int:  # noqa: N802
        self.settings[server_id] = {"api_version": api_version, "events": events}
        return 1


def server(number: int = 1, **more: object) -> Json:
    fields: Json = {"id": number, "title": "мой", "creator_id": 7, "url": URL, "secret_key": "geheim", "status": "ok"}
    return fields | more
