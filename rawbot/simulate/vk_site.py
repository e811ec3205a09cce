"""All that VK serves, at one port: the API, Long Poll, the upload servers, files.

Layer 3 (simulate). It reads where a request goes and has it answered there.
"""

import re
from urllib.parse import parse_qsl, quote

from rawbot.exchange import Request, Response
from rawbot.simulate.vk_longpoll import LongPollStream
from rawbot.simulate.vk_methods import PREFIX, ApiServer
from rawbot.simulate.vk_methods_files import FIELDS, receive_upload
from rawbot.simulate.vk_world import World

_NOT_FOUND = Response(404, b"not found\n")


class Site:
    """Answers requests."""

    def __init__(self, world: World, api: ApiServer) -> None:
        self._world = world
        self._api = api

    async def answer(self, request: Request) -> Response | None:
        """Return the answer; None hangs up."""
        if request.path.startswith(PREFIX):
            return await self._api.receive(request)
        stream = self._stream(request.path)
        if stream is not None:
            query = dict(parse_qsl(request.query)) | dict(parse_qsl(request.body.decode("utf-8", "replace")))
            return await stream.poll(query)
        folder, _, name = request.path.strip("/").partition("/")
        if folder == "upload" and name in FIELDS:
            return receive_upload(self._world, name, request)
        hosted = self._world.files.get(name) if folder == "files" else None
        if hosted is None:
            return _NOT_FOUND
        disposition = f"attachment; filename*=UTF-8''{quote(hosted.name, safe='')}".encode()
        return Response(200, hosted.data, b"application/octet-stream", [(b"content-disposition", disposition)])

    def _stream(self, path: str) -> LongPollStream | None:
        """Return whose events are asked for."""
        found = re.fullmatch(r"/(lp/wh|nim)(\d{1,18})", path, re.ASCII)
        if found is None:
            return None
        if found[1] == "nim":
            account = self._world.accounts.get(int(found[2]))
            return None if account is None else account.stream
        community = self._world.communities.get(int(found[2]))
        return None if community is None else community.stream
