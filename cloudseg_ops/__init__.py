"""Image segmentation in production on Google Cloud Composer.

The rules of the business are plain modules of this package; Airflow's side is in `sensors`, `operators` and
`runtimes`, the code that runs on GPU nodes in `engine`, and what makes a laptop enough in `local`.
"""

__version__ = "0.1.0"
