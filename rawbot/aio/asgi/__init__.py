"""The app inside an ASGI host."""
