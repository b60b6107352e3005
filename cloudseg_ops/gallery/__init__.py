"""The gallery of a run: its photographs next to their masks, a page at a time, as HTML.

Rules and reading alone: Airflow, logins and HTTP are the business of `webapp`. Like the report, the gallery tells what
results files say, and proves nothing; what it says of a mask's origin is read from the mask itself.
"""
