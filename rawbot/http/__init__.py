"""HTTP/1.1 without IO."""
