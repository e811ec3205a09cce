"""Requests that we make."""
