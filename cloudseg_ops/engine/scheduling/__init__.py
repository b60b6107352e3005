"""Which image goes where when: the pipeline, batches, workers, helpers, and the account of the chunk."""
