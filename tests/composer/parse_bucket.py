"""Parses a Composer bucket's folders as Composer does, and prints the result as JSON.

    python -S parse_bucket.py SITE_PACKAGES DAGS PLUGINS

`-S` ignores `.pth` files, such as that of an editable install of cloudseg: imports come from the bucket or from the
packages of the environment. Runs on any of Composer's versions, without cloudseg's tests.
"""

import json
import sys
import time
from importlib.metadata import version

packages, dags, plugins = sys.argv[1:]
sys.path[:] = [path for path in sys.path[1:] if path] + [packages]

from airflow import plugins_manager  # noqa: E402  (importable only now)

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # where it was in earlier versions
    from airflow.models.dagbag import DagBag  # type: ignore[no-redef]

before = sys.path.copy()
# Airflow has already added the plugins, from its configuration; the DAGs come after them.
sys.path.append(dags)
bag = DagBag(dag_folder=dags)
# From the start of the process: Airflow's imports are part of the time of a parse.
cpu_seconds = time.process_time()
package = sys.modules.get("cloudseg_ops")
plugins_manager.ensure_plugins_loaded()
errors = getattr(plugins_manager, "get_import_errors", lambda: getattr(plugins_manager, "import_errors", {}))()
print(
    "RESULT"
    + json.dumps(
        {
            "airflow": version("apache-airflow-core"),
            "providers": {
                name: version(f"apache-airflow-providers-{name}")
                for name in ("cncf-kubernetes", "common-compat", "google")
            },
            "path": before,
            "package": getattr(package, "__file__", None),
            "dags": {
                dag_id: {"tasks": [task.task_id for task in dag.tasks], "tags": sorted(dag.tags)}
                for dag_id, dag in bag.dags.items()
            },
            "errors": {str(name): str(error) for name, error in bag.import_errors.items()},
            "plugin_errors": {name: error for name, error in errors.items() if plugins in name},
            "heavy": sorted({"torch", "dvc", "PIL"} & set(sys.modules)),
            "cpu_seconds": cpu_seconds,
        }
    )
)
