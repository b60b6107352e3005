"""The steps and rules of a run: snapshot, chunk plan, forecast, progress, clean-up and audit."""
