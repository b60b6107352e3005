"""The inference engine: what runs in a pod, one process for a chunk of images.

Needs torch, numpy, pillow and google-cloud-storage; neither Airflow nor DVC.
"""
