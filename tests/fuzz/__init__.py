"""Fuzzing of what reads untrusted or damaged bytes: decoders, and the files in the buckets."""
