"""Runs cloudseg on a laptop: Airflow, a Cloud Storage emulator, an example model registry and generated photographs."""
