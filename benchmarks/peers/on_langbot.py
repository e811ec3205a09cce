"""LangBot's own client of WeCom bots, with the least bot that answers, served as LangBot serves it: Quart, Hypercorn.

It comes with the distribution `langbot`, streams, and has its own ciphers, ids and sessions. What differs from the
peers is the client's own doing:

- An AES object per message, XML around it, and a thread for each of decrypting, reading JSON and encrypting.
- The answer's envelope holds `encrypt` alone, without signature, timestamp and nonce. A wrong signature gets a 400.
- The first answer is an empty text. It carries an id for the user's judgement of the reply.
- Each stream that it holds is looked at with each message, to forget what is old; 4096 are held at most, then the
  oldest is searched for. So a message costs the more, the more came within ten minutes: 1.2 ms of CPU time at first,
  2.9 with 4096 held. A refresh of one that is forgotten gets an empty text.
- A refresh takes the newest text out of a queue. The next one waits half a second for more, and gets the last again
  when the reply is complete, or an empty one.

Left out in its favour: the access log that LangBot writes to standard output, its log, and what stands between client
and bot there (its own events and its pipeline).
"""

from langbot.libs.wecom_ai_bot_api.api import WecomBotClient
from langbot.libs.wecom_ai_bot_api.wecombotevent import WecomBotEvent

from benchmarks.peers.callbacks import NEWS
from benchmarks.peers.loops import run
from benchmarks.peers.on_quart import serve_quart
from benchmarks.peers.order import Order
from benchmarks.traffic import KEY, TOKEN


class Silence:
    """The log that the client is given: it takes everything and keeps nothing."""

    async def info(self, text: str) -> None:
        """Say nothing."""

    debug = warning = error = info


def serve(order: Order) -> None:
    """Serve until a signal; the client's path is that of the benchmark."""
    client = WecomBotClient(Token=TOKEN, EnCodingAESKey=KEY, Corpid="", logger=Silence())

    @client.on_message("single")
    async def tell(event: WecomBotEvent) -> None:
        await client.push_stream_chunk(event.message_id, NEWS, is_final=True)

    run(serve_quart(client.app, order.port), order.loop)
