"""deploy/terraform against docs/gke.md: the plan has the resources that the guide's commands create."""

from __future__ import annotations

from cloudseg_ops.config.settings import Settings
from tests.infra.reading import flag, flags, grants_by, grants_in, metadata, only
from tests.infra.terraform import Plan
from tests.support.commands import Calls


def test_grants_match_the_guide(standard: Plan, autopilot: Plan, gke: Calls) -> None:
    commanded = grants_by(gke)
    assert len(commanded) == 12
    assert grants_in(standard) == commanded
    assert grants_in(autopilot) == commanded


def test_custom_roles_and_accounts_match_the_guide(standard: Plan, gke: Calls) -> None:
    (call,) = gke.with_words("iam", "roles", "create")
    role = only(standard, "google_project_iam_custom_role")
    assert role["role_id"] == call[4]
    assert set(role["permissions"]) == set(str(flag(call, "--permissions")).split(","))
    accounts = {(call[4], flag(call, "--project")) for call in gke.with_words("service-accounts", "create")}
    assert {
        (account["account_id"], account["project"]) for account in standard.of("google_service_account").values()
    } == accounts


def test_buckets_match_the_guide(standard: Plan, gke: Calls) -> None:
    rules = (gke.folder / "staging-lifecycle.json").read_text()
    planned = {bucket["name"]: bucket for bucket in standard.of("google_storage_bucket").values()}
    made = {
        word.removeprefix("gs://"): call
        for call in gke.with_words("buckets", "create")
        for word in call
        if word.startswith("gs://")
    }
    assert planned.keys() == made.keys()
    for name, call in made.items():
        bucket = planned[name]
        assert bucket["location"].lower() == flag(call, "--location")
        assert {"--uniform-bucket-level-access", "--public-access-prevention"} <= flags(call)
        assert bucket["uniform_bucket_level_access"] is True
        assert bucket["public_access_prevention"] == "enforced"
        days = int(str(flag(call, "--soft-delete-duration")).removesuffix("d"))
        assert bucket["soft_delete_policy"][0]["retention_duration_seconds"] == days * 24 * 3600
        assert bool(bucket["lifecycle_rule"]) == (flag(call, "--lifecycle-file") is not None)
    (rule,) = next(bucket["lifecycle_rule"] for bucket in planned.values() if bucket["lifecycle_rule"])
    (action,), (condition,) = rule["action"], rule["condition"]
    assert f'"age": {condition["age"]}, "matchesPrefix": ["{condition["matches_prefix"][0]}"]' in rules
    assert f'"type": "{action["type"]}"' in rules


def test_apis_match_the_guide(standard: Plan, gke: Calls) -> None:
    planned = {(api["project"], api["service"]) for api in standard.of("google_project_service").values()}
    enabled = {
        (flag(call, "--project"), word)
        for call in gke.with_words("services", "enable")
        for word in call
        if word.endswith(".googleapis.com")
    }
    # The guide requests quota with this API.
    assert enabled - planned == {("my-project", "cloudquotas.googleapis.com")}


def test_network_matches_the_guide(standard: Plan, gke: Calls) -> None:
    (call,) = gke.with_words("subnets", "create")
    subnet = only(standard, "google_compute_subnetwork")
    assert (subnet["name"], subnet["ip_cidr_range"]) == (call[5], flag(call, "--range"))
    assert subnet["private_ip_google_access"] is True
    assert "--enable-private-ip-google-access" in call
    assert only(standard, "google_compute_network")["auto_create_subnetworks"] is False


def test_clusters_match_the_guide(standard: Plan, autopilot: Plan, gke: Calls) -> None:
    calls = gke.with_words("clusters", "create-auto") + gke.with_words("clusters", "create")
    assert len(calls) == 2
    for plan, call in zip((autopilot, standard), calls, strict=True):
        cluster = only(plan, "google_container_cluster")
        assert (cluster["name"], cluster["location"]) == (call[4], flag(call, "--location"))
        assert cluster["release_channel"][0]["channel"].lower() == flag(call, "--release-channel")
        assert {"--enable-private-nodes", "--enable-dns-access", "--no-enable-ip-access"} <= flags(call)
        assert cluster["private_cluster_config"][0]["enable_private_nodes"] is True
        endpoints = cluster["control_plane_endpoints_config"][0]
        assert endpoints["dns_endpoint_config"][0]["allow_external_traffic"] is True
        assert endpoints["ip_endpoints_config"][0]["enabled"] is False
    account = flag(calls[0], "--service-account")
    defaults = only(autopilot, "google_container_cluster")["cluster_autoscaling"][0]["auto_provisioning_defaults"][0]
    assert defaults["service_account"] == account
    cluster = only(standard, "google_container_cluster")
    assert cluster["workload_identity_config"][0]["workload_pool"] == flag(calls[1], "--workload-pool")
    assert cluster["datapath_provider"] == "ADVANCED_DATAPATH"
    assert "--enable-dataplane-v2" in calls[1]
    profile = cluster["cluster_autoscaling"][0]["autoscaling_profile"]
    assert profile.lower().replace("_", "-") == flag(calls[1], "--autoscaling-profile")
    system = next(pool for pool in standard.of("google_container_node_pool").values() if pool["name"] == "system")
    assert system["node_config"][0]["machine_type"] == flag(calls[1], "--machine-type")
    assert (str(system["node_count"]), system["node_locations"]) == (
        flag(calls[1], "--num-nodes"),
        [flag(calls[1], "--node-locations")],
    )


def test_gpu_pools_match_the_guide(standard: Plan, gke: Calls) -> None:
    planned = {pool["name"]: pool for pool in standard.of("google_container_node_pool").values()}
    made = {call[4]: call for call in gke.with_words("node-pools", "create")}
    assert planned.keys() - {"system"} == made.keys()
    for name, call in made.items():
        pool = planned[name]
        node, scaling = pool["node_config"][0], pool["autoscaling"][0]
        (gpu,) = node["guest_accelerator"]
        driver = gpu["gpu_driver_installation_config"][0]["gpu_driver_version"].lower()
        assert flag(call, "--accelerator") == f"type={gpu['type']},count={gpu['count']},gpu-driver-version={driver}"
        assert node["machine_type"] == flag(call, "--machine-type")
        assert node["service_account"] == flag(call, "--service-account")
        assert node["workload_metadata_config"][0]["mode"] == flag(call, "--workload-metadata")
        assert node["gcfs_config"][0]["enabled"] is True
        assert node["spot"] == ("--spot" in call)
        assert ",".join(pool["node_locations"]) == flag(call, "--node-locations")
        assert scaling["location_policy"] == flag(call, "--location-policy")
        assert [str(scaling["total_min_node_count"]), str(scaling["total_max_node_count"])] == [
            flag(call, "--total-min-nodes"),
            flag(call, "--total-max-nodes"),
        ]
        taints = [
            f"{taint['key']}={taint['value']}:{taint['effect'].title().replace('_', '')}" for taint in node["taint"]
        ]
        assert taints == ([given] if (given := flag(call, "--node-taints")) else [])


def test_repository_matches_the_guide(standard: Plan, gke: Calls) -> None:
    (call,) = gke.with_words("repositories", "create")
    repository = only(standard, "google_artifact_registry_repository")
    assert (repository["repository_id"], repository["format"].lower()) == (call[4], flag(call, "--repository-format"))
    assert repository["docker_config"][0]["immutable_tags"] is True
    assert "--immutable-tags" in call
    (pushed,) = gke.with_words("docker", "push")
    assert standard.outputs["image"] == pushed[2].rpartition(":")[0]


def test_namespace_matches_the_guide(standard: Plan, gke: Calls) -> None:
    for kind, resource in (
        ("Namespace", "kubernetes_namespace_v1"),
        ("ServiceAccount", "kubernetes_service_account_v1"),
        ("Role", "kubernetes_role_v1"),
        ("RoleBinding", "kubernetes_role_binding_v1"),
        ("ResourceQuota", "kubernetes_resource_quota_v1"),
        ("NetworkPolicy", "kubernetes_network_policy_v1"),
    ):
        (manifest,) = gke.manifests(kind)
        assert metadata(only(standard, resource)) == manifest["metadata"]


def test_rights_of_airflow_match_the_guide(standard: Plan, gke: Calls) -> None:
    (role,), (binding,), (account,) = (gke.manifests(kind) for kind in ("Role", "RoleBinding", "ServiceAccount"))
    planned = only(standard, "kubernetes_role_v1")["rule"]
    assert {(resource, verb) for rule in planned for resource in rule["resources"] for verb in rule["verbs"]} == {
        (resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]
    }
    bound = only(standard, "kubernetes_role_binding_v1")
    (reference,), (subject,) = bound["role_ref"], bound["subject"]
    assert {"apiGroup": reference["api_group"], "kind": reference["kind"], "name": reference["name"]} == binding[
        "roleRef"
    ]
    assert [{"apiGroup": subject["api_group"], "kind": subject["kind"], "name": subject["name"]}] == binding["subjects"]
    mounted = only(standard, "kubernetes_service_account_v1")["automount_service_account_token"]
    assert mounted is account["automountServiceAccountToken"] is False


def test_limits_of_the_namespace_match_the_guide(standard: Plan, gke: Calls) -> None:
    (quota,), (policy,) = gke.manifests("ResourceQuota"), gke.manifests("NetworkPolicy")
    assert only(standard, "kubernetes_resource_quota_v1")["spec"][0]["hard"] == quota["spec"]["hard"]
    (spec,) = only(standard, "kubernetes_network_policy_v1")["spec"]
    assert spec["policy_types"] == policy["spec"]["policyTypes"]
    assert spec["pod_selector"][0]["match_labels"] == policy["spec"]["podSelector"]["matchLabels"]
    assert [
        (
            [block["cidr"] for to in rule["to"] for block in to["ip_block"]],
            {(port["protocol"], port["port"]) for port in rule["ports"]},
        )
        for rule in spec["egress"]
    ] == [
        (
            [to["ipBlock"]["cidr"] for to in rule.get("to", [])],
            {(port["protocol"], str(port["port"])) for port in rule["ports"]},
        )
        for rule in policy["spec"]["egress"]
    ]


def test_environment_matches_the_guide(standard: Plan, gke: Calls) -> None:
    (call,) = gke.with_words("composer", "environments", "create")
    environment = only(standard, "google_composer_environment")
    (config,) = environment["config"]
    assert (environment["name"], environment["region"]) == (call[4], flag(call, "--location"))
    assert config["software_config"][0]["image_version"] == flag(call, "--image-version")
    assert config["node_config"][0]["service_account"] == flag(call, "--service-account")
    commanded = gke.environment()
    image = commanded.pop("CLOUDSEG_IMAGE")
    assert config["software_config"][0]["env_variables"] == commanded
    written = dict(line.split("=", 1) for line in standard.outputs["environment_file"].split())
    assert {name: value for name, value in written.items() if name.startswith("CLOUDSEG_")} == commanded
    # With the image that the delivery adds, they are complete.
    assert Settings.from_environment({**commanded, "CLOUDSEG_IMAGE": image}).runtime == "gke"
