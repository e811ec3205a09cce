"""The sentences that rawbot itself says to users. Everything else that they read comes from the bot.

Layer 3. Give an instance of your own, in your users' language, as `WeComEndpoint(texts=…)`.
"""

from dataclasses import dataclass, fields

from rawbot.errors import ConfigError
from rawbot.wecom.markdown import is_visible

LONGEST_TEXT = 1024
"""Bytes of one of these sentences: it must leave the bubble to the answer."""


@dataclass(frozen=True, slots=True)
class WeComTexts:
    """One sentence per occasion; a bubble that ends must show something, so none may be invisible.

    Raises `ConfigError` for one that is, and for one that is too long.
    """

    silent: str = "(no answer)"
    """The handler returned without a word."""
    attached: str = "👇"
    """It gave a card or pictures and no words."""
    failed: str = "Sorry, something went wrong while answering."
    """It raised an exception."""
    superseded: str = "(answer stopped: a newer message came)"
    shutdown: str = "(answer stopped: the bot is restarting)"
    restarting: str = "The bot is restarting. Please send that again in a moment."
    """A message came during shutdown."""
    busy: str = "The bot is too busy right now. Please try again in a moment."
    unknown: str = "This answer is no longer available. Please ask again."
    """A refresh asked for a stream that is not ours: made before a restart, or long ago."""
    overdue: str = "(still working: the rest follows in a separate message)"
    """The watchdog closed the bubble; the rest goes to response_url."""
    overdue_lost: str = "(the answer takes too long to be shown here)"
    """The same when there is no response_url."""
    concluded: str = "(that was all)"
    """What follows in that separate message when nothing does."""
    cut: str = "(the answer was too long to be shown in full)"
    pictures_lost: str = "(pictures could not be shown)"
    card_lost: str = "(a card could not be shown)"

    def __post_init__(self) -> None:
        for field in fields(self):
            if not is_visible(getattr(self, field.name)):
                raise ConfigError(f"texts.{field.name} must show something: a bubble without text never ends")
            if len(getattr(self, field.name).encode()) > LONGEST_TEXT:
                raise ConfigError(f"texts.{field.name} is longer than {LONGEST_TEXT} bytes")


CHINESE = WeComTexts(
    silent="（没有回复）",
    failed="抱歉，处理消息时出错了。",
    superseded="（已停止：收到了新的消息）",
    shutdown="（已停止：机器人正在重启）",
    restarting="机器人正在重启，请稍后再发一次。",
    busy="机器人当前繁忙，请稍后再试。",
    unknown="这条回答已失效，请重新提问。",
    overdue="（仍在处理，其余内容稍后单独发送）",
    overdue_lost="（处理时间过长，无法在此继续显示）",
    concluded="（回答到此结束）",
    cut="（内容过长，未能完整显示）",
    pictures_lost="（图片未能显示）",
    card_lost="（卡片未能显示）",
)
"""The same in Chinese."""
