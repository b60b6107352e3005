"""What dags/cloud_segmentation.py is wired of: its schedule, its runtimes and its pages of help."""
