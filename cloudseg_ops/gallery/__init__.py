"""The gallery of a run: HTML pages that show photographs next to their masks.

This package reads and renders; `gallery.web` handles Airflow, logins and HTTP. Like the report, the gallery shows the
contents of results files, which are not proof. A mask's provenance is read from the mask itself.
"""
