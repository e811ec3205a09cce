"""Which processes run, without IO."""
