"""Main memory: the budget that images share, and tuning of malloc and the garbage collector."""
