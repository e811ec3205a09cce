"""OneBot 12, the implementation's side: events go out, actions come in, over HTTP and WebSockets in both directions."""
