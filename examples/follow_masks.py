"""A DAG that follows cloudseg: it runs after each run that succeeded, and reads what that run left."""

from typing import Any

from airflow.sdk import Asset, dag, task

masks = Asset("cloudseg_masks")


@dag(schedule=[masks], catchup=False)
def follow_masks() -> None:
    """Passes on the data of the events: the location of the masks, their number, and the model."""

    @task
    def read(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        return [event.extra for event in triggering_asset_events[masks]]

    read()


follow_masks()
