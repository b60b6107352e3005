"""Scheduling of images: the pipeline, batches, compute workers, helpers, and the result log."""
