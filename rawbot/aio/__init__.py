"""The engine room: the only place that imports asyncio for serving."""
