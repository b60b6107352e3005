"""docs/gke.md against the code: its variables, its commands, its manifests, and what it grants."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pytest
import yaml

from cloudseg_ops.config.settings import Settings, variables
from cloudseg_ops.pods import PodWork, pod_manifest
from tests.support.commands import DIGEST, DOCS, Calls, check_links, check_syntax, run_blocks, shell_blocks

DOCUMENT = DOCS / "gke.md"

# Calls in the namespace: apache-airflow-providers-cncf-kubernetes 10.14.0, utils/pod_manager.py (pods: create,
# get, delete; logs: get; events: list), operators/pod.py (pods: list) and hooks/kubernetes.py for deferred tasks
# (events: watch); cloudseg_ops/operators/clusters.py (pods: list, delete).
VERBS = {
    "pods": {"create", "delete", "get", "list"},
    "pods/log": {"get"},
    "events": {"list", "watch"},
}


@pytest.fixture(scope="module")
def text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def blocks(text: str) -> list[str]:
    return shell_blocks(text)


@pytest.fixture(scope="module")
def calls(blocks: list[str], tmp_path_factory: pytest.TempPathFactory) -> Calls:
    return run_blocks(blocks, tmp_path_factory.mktemp("gke"))


@pytest.fixture(scope="module")
def settings(calls: Calls) -> Settings:
    return Settings.from_environment(calls.environment())


@pytest.fixture(scope="module")
def pod(settings: Settings) -> Mapping[str, Any]:
    work = PodWork(run_id="r", chunk_index=0, model_commit="a" * 40, arguments=(), spot=settings.pods.spot)
    return pod_manifest(settings.pods, work)


def test_every_block_is_valid_bash(blocks: list[str]) -> None:
    assert len(blocks) > 15
    check_syntax(blocks)


def test_every_variable_exists(text: str) -> None:
    assert set(re.findall(r"CLOUDSEG_[A-Z_]*[A-Z]", text)) <= set(variables())


def test_link_targets_exist() -> None:
    check_links(DOCUMENT)


def test_every_manifest_is_valid(calls: Calls) -> None:
    documents = calls.manifests()
    assert len(documents) == 6
    schemas = import_module("kubernetes_validate")  # untyped
    for document in documents:
        schemas.validate(document, schemas.latest_version(), strict=True)


def test_written_files_parse(calls: Calls) -> None:
    (lifecycle,) = json.loads((calls.folder / "staging-lifecycle.json").read_text())["rule"]
    assert lifecycle["condition"]["matchesPrefix"] == ["runs/"]
    node = yaml.safe_load((calls.folder / "spot-nodes.yaml").read_text())["kubeletConfig"]
    # The pods get the rest, and the engine needs up to 19 s.
    assert node["shutdownGracePeriodSeconds"] - node["shutdownGracePeriodCriticalPodsSeconds"] >= 20


def test_role_has_exactly_the_used_verbs(calls: Calls) -> None:
    (role,) = calls.manifests("Role")
    granted = {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}
    assert granted == VERBS
    assert all(rule["apiGroups"] == [""] for rule in role["rules"])


def test_role_is_bound_to_composer_s_account(calls: Calls) -> None:
    (binding,) = calls.manifests("RoleBinding")
    (create,) = calls.with_words("composer", "environments", "create")
    assert [f"--service-account={subject['name']}" for subject in binding["subjects"]] == [
        word for word in create if word.startswith("--service-account=")
    ]


def test_settings_name_the_created_resources(calls: Calls, settings: Settings) -> None:
    pods = settings.pods
    assert settings.runtime == "gke"
    (namespace,) = calls.manifests("Namespace")
    (account,) = calls.manifests("ServiceAccount")
    assert (pods.namespace, pods.service_account) == (namespace["metadata"]["name"], account["metadata"]["name"])
    made = {word.removeprefix("gs://") for call in calls.with_words("buckets", "create") for word in call[4:]}
    assert {settings.input_bucket, settings.staging_bucket, settings.output_bucket} <= made
    assert calls.with_words("clusters", "create", str(pods.gke_cluster), f"--location={pods.gke_location}")
    (pushed,) = calls.with_words("docker", "push")
    assert pods.image == f"{pushed[2].rpartition(':')[0]}@{DIGEST}"


def test_pod_matches_bucket_grants_and_network_policy(calls: Calls, pod: Mapping[str, Any]) -> None:
    subject = f"/subject/ns/{pod['metadata']['namespace']}/sa/{pod['spec']['serviceAccountName']}"
    grants = [call for call in calls.with_words("add-iam-policy-binding") if "--member=principal:" in " ".join(call)]
    assert len(grants) == 4
    assert all(any(word.endswith(subject) for word in call) for call in grants)
    (policy,) = calls.manifests("NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_pod_fits_the_nodes_of_the_standard_pools(calls: Calls, settings: Settings, pod: Mapping[str, Any]) -> None:
    pools = calls.with_words("node-pools", "create")
    assert [pool[4] for pool in pools] == ["l4-spot", "l4"]
    for pool in pools:
        assert "--machine-type=g2-standard-4" in pool
        assert f"--accelerator=type={settings.pods.gpu_type},count={settings.pods.gpus}," in " ".join(pool)
    (taint,) = [word.partition("=")[2] for word in pools[0] if word.startswith("--node-taints=")]
    assert taint in {f"{t['key']}={t.get('value')}:{t['effect']}" for t in pod["spec"]["tolerations"]}
    # 16 GiB, less what GKE and image streaming reserve, less half a GiB for system pods (section 6).
    assert int(settings.pods.pod_memory.removesuffix("Gi")) <= 16 - 2.7 - 1.04 - 0.5


def test_pool_matches_the_settings_and_includes_deferred_tasks(calls: Calls, settings: Settings) -> None:
    commands = calls.with_words("pools", "set")
    assert len(commands) == 2
    for command in commands:
        name, slots, _, deferred = command[-4:]
        assert (name, deferred) == (settings.pool, "--include-deferred")
        assert slots.isdigit()
