"""Parts of dags/cloud_segmentation.py: its schedule, its runtimes and its help pages."""
