"""How Cloud Storage is reached from Airflow's processes."""

from __future__ import annotations

from cloudseg_ops.storage import Store

DEFAULT_GCP_CONN_ID = "google_cloud_default"
"""The connection that Composer and Airflow's google provider have by default."""


def open_store(gcp_conn_id: str | None) -> Store:
    """Connect to Cloud Storage, as the process's own identity or by an Airflow connection.

    Args:
        gcp_conn_id: The connection; None: the process's own identity.
    """
    if gcp_conn_id is None:
        return Store.open()
    from airflow.providers.google.common.hooks.base_google import GoogleBaseHook

    return Store.open(GoogleBaseHook(gcp_conn_id=gcp_conn_id).get_credentials())
