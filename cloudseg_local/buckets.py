"""Connects to the emulator of the local setup."""

from __future__ import annotations

from cloudseg_ops.storage import Store


def connect(url: str) -> Store:
    """A store on an emulator, whatever the environment's own credentials."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    return Store(
        Client(
            project="local",
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": url},
        )
    )
