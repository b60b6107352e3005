"""The message about a failed run, and how it is sent."""
