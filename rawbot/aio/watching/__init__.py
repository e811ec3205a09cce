"""What is seen of a running app: access log, metrics, health."""
