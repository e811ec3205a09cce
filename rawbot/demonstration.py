"""What `rawbot demo` shows: a simulated WeCom user talks to the demo bot over a real socket, encrypted both ways.

Layer 4. Each step says what the user does and what must come of it; the platform's rules are checked along the way.
"""

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable

from rawbot.demo import HELP, long_text, png
from rawbot.errors import ProtocolError, RawbotError
from rawbot.simulate.wecom import WeComPlatform
from rawbot.simulate.wecom_conversation import Conversation
from rawbot.terminal import Transcript

INTERVAL = 0.25
"""Seconds between two polls; the platform takes about one."""

PATIENCE = 20.0
"""Seconds for one step before it counts as failed."""

Step = Callable[[WeComPlatform, Transcript], Awaitable[str | None]]
"""A step returns what was wrong, or None."""


async def demonstrate(
    url: str, token: str, encoding_aes_key: str, receive_id: str, transcript: Transcript, *, loopback: bool = True
) -> int:
    """Hold the conversation; return how many steps went wrong. Raises nothing that a step raises.

    Without `loopback` the steps are left out for which the bot has to reach the simulator.
    """
    failures = 0
    platform = WeComPlatform(
        url,
        token=token,
        encoding_aes_key=encoding_aes_key,
        receive_id=receive_id,
        interval=INTERVAL,
        on_frame=transcript.frame,
        on_active=transcript.active,
    )
    async with platform:
        for step in _steps(loopback=loopback):
            problem = await _carry_out(step, platform, transcript)
            if problem is not None:
                failures += 1
                transcript.verdict(problem, good=False)
    return failures


async def _carry_out(step: Step, platform: WeComPlatform, transcript: Transcript) -> str | None:
    try:
        async with asyncio.timeout(PATIENCE):
            return await step(platform, transcript)
    except TimeoutError:
        return f"not done within {PATIENCE:g} s"
    except RawbotError as error:
        return str(error)


def _steps(*, loopback: bool) -> list[Step]:
    steps: list[Step] = [_verification, _welcome, _talk, _group, _card, _picture, _failure]
    if importlib.util.find_spec("httpx") is None:
        return [*steps, _without_client]
    if not loopback:
        return [*steps, _without_loopback]
    return [*steps, _file, _long]


async def _verification(platform: WeComPlatform, transcript: Transcript) -> str | None:
    transcript.say("console", "verifies the URL")
    try:
        await platform.verify_url()
    except ProtocolError as error:
        return str(error)
    transcript.verdict("the decrypted echostr came back", good=True)
    return None


async def _welcome(platform: WeComPlatform, transcript: Transcript) -> str | None:
    transcript.say("zhangsan", "opens the chat")
    return _judge(await platform.enter_chat(), HELP)


async def _talk(platform: WeComPlatform, transcript: Transcript) -> str | None:
    text = "Hello rawbot, 你好! Please say this back to me while you are still thinking about it."
    transcript.say("zhangsan", text)
    conversation = await platform.say(text)
    if problem := _judge(conversation, f"You said: {text}"):
        return problem
    if conversation.first_answer is None:
        return "there was no first answer"
    transcript.verdict(f"first answer after {conversation.first_answer * 1000:.1f} ms", good=True)
    return None


async def _group(platform: WeComPlatform, transcript: Transcript) -> str | None:
    transcript.say("lisi", "@RobotA and in a group? (in the group wr-demo)")
    return _judge(await platform.say("and in a group?", user="lisi", chat="wr-demo"), "You said: and in a group?")


async def _card(platform: WeComPlatform, transcript: Transcript) -> str | None:
    transcript.say("zhangsan", "/card")
    conversation = await platform.say("/card")
    if problem := _judge(conversation, "Please decide."):
        return problem
    if not conversation.cards:
        return "no card came"
    transcript.say("zhangsan", "presses [Yes]")
    pressed = await platform.press(conversation.cards[0], "yes")
    if pressed.problems or "You pressed yes." not in str(conversation.cards[0]):
        return "; ".join(["the card did not change", *pressed.problems])
    transcript.verdict("the card reads: You pressed yes.", good=True)
    return None


async def _picture(platform: WeComPlatform, transcript: Transcript) -> str | None:
    transcript.say("zhangsan", "/image")
    conversation = await platform.say("/image")
    if conversation.images != [png(64, 64)]:
        return "the picture did not arrive as it was sent"
    return _judge(conversation, "Here is a picture.")


async def _failure(platform: WeComPlatform, transcript: Transcript) -> str | None:
    transcript.say("zhangsan", "/fail (the handler raises; the bubble must end all the same)")
    return _judge(await platform.say("/fail"), None)


async def _file(platform: WeComPlatform, transcript: Transcript) -> str | None:
    transcript.say("zhangsan", "sends report.pdf, which the bot downloads and decrypts")
    data = b"%PDF-1.7\n" + bytes(300_000)
    conversation = await platform.send_file(data, name="report.pdf")
    return _judge(conversation, f"file: application/pdf, report.pdf, {len(data)} bytes\n")


async def _long(platform: WeComPlatform, transcript: Transcript) -> str | None:
    transcript.say("zhangsan", "/long 30000 (a bubble holds 20,480 bytes; the rest follows by response_url)")
    conversation = await platform.say("/long 30000")
    if problem := _judge(conversation, None):
        return problem
    await platform.wait_active(conversation)
    rest = conversation.active_messages[0].get("markdown")
    content = rest.get("content") if isinstance(rest, dict) else None
    if conversation.problems:
        return "; ".join(conversation.problems)
    if f"{conversation.shown}{content}" != long_text(30_000):
        return "the two parts are not the whole text"
    transcript.verdict("both parts together are the whole text", good=True)
    return None


async def _without_client(_platform: WeComPlatform, transcript: Transcript) -> str | None:
    transcript.note("\nWithout the extra 'client' files are not downloaded and long answers not continued:")
    transcript.note("pip install 'rawbot[client]', or '.[client]' in a checkout")
    return None


async def _without_loopback(_platform: WeComPlatform, transcript: Transcript) -> str | None:
    transcript.note("\nRAWBOT_DEMO_LOOPBACK=0 forbids files and active replies on this machine, where the simulator")
    transcript.note("serves them: files are not downloaded and long answers not continued here.")
    return None


def _judge(conversation: Conversation, expected: str | None) -> str | None:
    """Return what was wrong with a finished conversation; `expected` is the text at its end, None for any."""
    if conversation.problems:
        return "; ".join(conversation.problems)
    if not conversation.finished:
        return "the bubble was never finished"
    if expected is not None and conversation.shown != expected:
        return f"the user sees {conversation.shown!r} instead of {expected!r}"
    return None
