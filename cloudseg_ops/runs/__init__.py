"""The rules of a run: snapshot, chunk plan, proof, clean-up, audit, progress, forecast."""
