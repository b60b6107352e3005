"""The commit that this copy of cloudseg is of; empty in a checkout. A deploy writes it into what it delivers."""

COMMIT = ""
