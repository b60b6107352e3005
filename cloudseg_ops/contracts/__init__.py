"""Types, names and rules that the DAG and the engine share, and the formats of objects in buckets. No I/O."""
