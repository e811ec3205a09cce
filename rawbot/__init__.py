"""rawbot: a low-level asyncio server for chat bots."""
