"""What the DAG and the engine say to each other, and what lies in buckets: types, names and rules, without I/O."""
