"""The commit that this copy of cloudseg was deployed from; empty in a checkout. A deploy writes it."""

COMMIT = ""
