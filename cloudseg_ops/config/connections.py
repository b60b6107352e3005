"""Connects Airflow's processes to Cloud Storage."""

from __future__ import annotations

from cloudseg_ops.storage import Store

DEFAULT_GCP_CONN_ID = "google_cloud_default"
"""The default connection of Composer and of Airflow's google provider."""


def open_store(gcp_conn_id: str | None) -> Store:
    """Connect to Cloud Storage with the process's own identity or an Airflow connection.

    Args:
        gcp_conn_id: The connection; None: the process's own identity.
    """
    if gcp_conn_id is None:
        return Store.open()
    from airflow.providers.google.common.hooks.base_google import GoogleBaseHook

    return Store.open(GoogleBaseHook(gcp_conn_id=gcp_conn_id).get_credentials())
