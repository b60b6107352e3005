"""Builds and sends the notification of a failed run."""
