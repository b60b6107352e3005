"""The `cloudseg` command."""
