"""Where the app is reached: addresses, TLS, PROXY headers, sockets that are handed in."""
