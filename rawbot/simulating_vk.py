"""`rawbot simulate vk`: be VK for a while, talk to a bot server and show what it answers by the API.

Layer 4, a part of the command line. Time is the real one here: a callback that fails comes again after ten seconds.
"""

import argparse
import asyncio
import contextlib
import time

from rawbot.errors import ConfigError, ProtocolError
from rawbot.simulate.vk import VKPlatform
from rawbot.simulate.vk_dialogs import ChatMessage
from rawbot.simulate.vk_rules import is_object
from rawbot.simulate.vk_world import Community, Party, Press
from rawbot.terminal import Transcript
from rawbot.vk.peers import CHAT_BASE

API_URL = "RAWBOT_VK_API_URL"

ANSWER_WITHIN = 12.0
"""Seconds for which the first answer is waited for: enough for one retry of the callback."""

QUIET = 2.5
"""Seconds without anything new after which an answer is taken for whole: one that grows changes every two seconds."""

CHAT_MEMBER = 1
"""Who speaks in a chat."""


async def simulate_vk(options: argparse.Namespace, transcript: Transcript) -> int:
    """Carry out the command; return 0 if all was right, 1 if not. Raises `ConfigError` for what cannot be."""
    conversation = _Conversation(transcript)
    platform = VKPlatform(port=options.api_port, on_said=conversation.show, on_problem=conversation.blame)
    community = platform.add_group(options.group_id, token=options.token, confirmation=options.confirmation)
    try:
        await platform.start()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"cannot serve the API on port {options.api_port}: {error}") from None
    following = asyncio.create_task(platform.follow_clock())
    try:
        transcript.note(f"the API is at {platform.api_url}; the bot has to be started with")
        transcript.note(f"    {API_URL}={platform.api_url}")
        if not await _connect(platform, community, options, transcript):
            return 1
        for text in options.text or ["Hello"]:
            await conversation.talk(platform, community, options.peer, text)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await platform.stop()
    return 1 if conversation.problems else 0


async def _connect(
    platform: VKPlatform, community: Community, options: argparse.Namespace, transcript: Transcript
) -> bool:
    """Add the bot's server; return whether it has confirmed its URL."""
    ask = options.confirmation is not None
    if ask:
        transcript.say("console", "asks for the confirmation string")
    try:
        await platform.connect(community.id, options.url, secret=options.secret, ask=ask)
    except ProtocolError as error:
        transcript.verdict(str(error), good=False)
        return False
    if ask:
        transcript.verdict("confirmed", good=True)
    return True


class _Conversation:
    """Shows what is said, with the time since the user's last words."""

    def __init__(self, transcript: Transcript) -> None:
        self.problems: list[str] = []
        self._transcript = transcript
        self._spoken_at = 0.0
        self._heard = 0

    def blame(self, problem: str) -> None:
        """Show what is wrong."""
        self.problems.append(problem)
        self._transcript.verdict(problem, good=False)

    def show(self, _party: Party, what: ChatMessage | Press) -> None:
        """Show what the bot has said or changed."""
        self._heard += 1
        if isinstance(what, Press):
            return
        extra = f" [{len(what.attachments)} attachment(s)]" if what.attachments else ""
        labels = [str(a.get("label", a.get("type"))) for b in what.buttons() if is_object(a := b.get("action"))]
        extra += f" [{' | '.join(labels)}]" if labels else ""
        extra += " (edited)" if what.edits else ""
        self._transcript.message(time.monotonic() - self._spoken_at, what.text, extra)

    async def talk(self, platform: VKPlatform, community: Community, peer_id: int, text: str) -> None:
        """Say something, and wait for what comes back."""
        user_id = CHAT_MEMBER if peer_id > CHAT_BASE else peer_id
        self._transcript.say(f"user {user_id}", text)
        self._spoken_at = time.monotonic()
        before = self._heard
        await platform.say(community.id, user_id, text, peer_id=peer_id)
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await platform.wait_until(lambda: self._heard > before)
        except TimeoutError:
            self.blame(f"no answer within {ANSWER_WITHIN:g} s: was the bot started with {API_URL}, and a token?")
            return
        with contextlib.suppress(TimeoutError):
            while True:
                before = self._heard
                async with asyncio.timeout(QUIET):
                    await platform.wait_until(lambda: self._heard > before)  # noqa: B023 - called in this turn only
