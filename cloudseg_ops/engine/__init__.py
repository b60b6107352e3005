"""The inference engine: the process that segments one chunk of images, usually in a pod.

Requires torch, numpy, pillow and google-cloud-storage, but neither Airflow nor DVC.
"""
