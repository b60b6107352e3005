"""Replaces Google's control plane in each Airflow process: the address of a GKE cluster, and its credentials.

Nothing else of the google provider is replaced. CONTROL_PLANE names a JSON file with `endpoint` (host and port), `ca`
(the cluster's certificate, base64 of PEM) and `token` (a bearer token that the cluster accepts).
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

_HOOKS = "airflow.providers.google.cloud.hooks.kubernetes_engine"


class _StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads the module of the hooks normally, and replaces two lookups in it."""

    loader: Any

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != _HOOKS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Any:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        from google.oauth2.credentials import Credentials

        given = json.loads(Path(os.environ["CONTROL_PLANE"]).read_text())
        cluster = SimpleNamespace(
            endpoint=given["endpoint"], master_auth=SimpleNamespace(cluster_ca_certificate=given["ca"])
        )
        credentials = (Credentials(token=given["token"]), "test-project")  # type: ignore[no-untyped-call]
        for hook in (module.GKEHook, module.GKEKubernetesHook):
            hook.get_credentials_and_project_id = lambda _self: credentials
        module.GKEHook.get_cluster = lambda _self, **_: cluster


if "CONTROL_PLANE" in os.environ:
    sys.meta_path.insert(0, _StandIn())
