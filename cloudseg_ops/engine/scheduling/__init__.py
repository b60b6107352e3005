"""Which image goes where when: the pipeline, batches, lanes, helpers, and the account of the chunk."""
