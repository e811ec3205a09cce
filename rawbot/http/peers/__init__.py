"""Who the client is, without IO: by the word of proxies that are trusted."""
