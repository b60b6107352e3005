"""Schedules the images of a chunk: the pipeline, batches, compute workers, helper processes and the result log."""
