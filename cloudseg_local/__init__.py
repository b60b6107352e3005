"""What makes a laptop enough: an emulator of Cloud Storage, an example registry, example scenes."""
