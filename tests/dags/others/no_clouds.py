"""A DAG that is not cloudseg's."""

from airflow.sdk import DAG, task

with DAG("no_clouds", schedule=None):

    @task
    def nothing() -> None:
        """Do nothing."""

    nothing()
