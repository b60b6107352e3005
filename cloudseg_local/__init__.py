"""The local setup: a Cloud Storage emulator, an example registry, example scenes."""
