"""RFC 6455 without IO, around a kept library: the extra `websocket`."""
