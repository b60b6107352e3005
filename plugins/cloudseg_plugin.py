"""Airflow plugin that shows a run's images and its progress as tabs of Airflow's UI.

It is optional. It loads `cloudseg_ops` from this folder, or from elsewhere on Python's path.
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from cloudseg_ops.gallery.web import MOUNT, app

# Relative, so that they work under any path at which Airflow is served.
_RUN = f"{MOUNT.removeprefix('/')}/dags/{{DAG_ID}}/runs/{{RUN_ID}}"


class CloudsegPlugin(AirflowPlugin):
    """Mounts the gallery and adds its tabs to runs and tasks."""

    name = "cloudseg"
    fastapi_apps = [{"app": app, "url_prefix": MOUNT, "name": "cloudseg"}]
    external_views = [
        {
            "name": "Gallery",
            "href": f"{_RUN}/gallery",
            "destination": "dag_run",
            "url_route": "cloudseg-gallery",
        },
        {
            "name": "Progress",
            "href": f"{_RUN}/progress",
            "destination": "dag_run",
            "url_route": "cloudseg-progress",
        },
        {
            "name": "Gallery",
            "href": f"{_RUN}/tasks/{{TASK_ID}}/{{MAP_INDEX}}",
            "destination": "task_instance",
            "url_route": "cloudseg-task-gallery",
        },
    ]
