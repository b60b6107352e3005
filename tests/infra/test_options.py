"""deploy/terraform against docs/composer.md: the delivery's account, one image for two environments, and Pub/Sub."""

from __future__ import annotations

import re

from tests.infra.reading import EVERYTHING, NAMES, flag, grants_by, grants_in, only
from tests.infra.terraform import Plan, Terraform
from tests.support.commands import DOCS, Calls


def test_grants_of_the_options_match_the_guide(everything: Plan, gke: Calls, options: Calls) -> None:
    commanded = grants_by(options)
    assert len(commanded) == 11
    assert grants_in(everything) - grants_by(gke) == commanded


def test_identity_of_the_delivery_matches_the_guide(everything: Plan, options: Calls) -> None:
    (pool,) = options.with_words("workload-identity-pools", "create")
    (provider,) = options.with_words("providers", "create-oidc")
    planned = only(everything, "google_iam_workload_identity_pool_provider")
    assert only(everything, "google_iam_workload_identity_pool")["workload_identity_pool_id"] == pool[4]
    assert planned["workload_identity_pool_provider_id"] == provider[5]
    assert planned["workload_identity_pool_id"] == flag(provider, "--workload-identity-pool")
    assert planned["attribute_condition"] == flag(provider, "--attribute-condition")
    assert planned["oidc"][0]["issuer_uri"] == flag(provider, "--issuer-uri")
    mapping = dict(pair.split("=", 1) for pair in str(flag(provider, "--attribute-mapping")).split(","))
    assert planned["attribute_mapping"] == mapping


def test_delivery_is_bound_to_an_environment_and_repository_id(everything: Plan) -> None:
    provider = only(everything, "google_iam_workload_identity_pool_provider")
    assert provider["attribute_condition"] == "assertion.repository_id == '123456789'"
    # The claim's value and the grant's condition must be the same text: ID:ENVIRONMENT.
    assert provider["attribute_mapping"]["attribute.deploys"] == (
        'assertion.repository_id + ":" + assertion.environment'
    )
    grant = everything.resources["google_service_account_iam_member.github[0]"]
    pool = "projects/123456789012/locations/global/workloadIdentityPools/github"
    assert grant["member"] == f"principalSet://iam.googleapis.com/{pool}/attribute.deploys/123456789:staging"


def test_production_uses_the_image_of_staging(autopilot: Plan, terraform: Terraform) -> None:
    image = "us-central1-docker.pkg.dev/my-project/cloudseg/engine"
    assert autopilot.outputs["image"] == image
    names = NAMES | {"project": "my-production", "airflow_project": "my-production-airflow"}
    production = terraform.plan(names | {"image_repository": image, "github_repository_id": "123456789"})
    assert production.outputs["image"] == image
    assert f"IMAGE_REPOSITORY={image}" in production.outputs["environment_file"].split()
    accounts = production.outputs["accounts"]
    assert EVERYTHING["image_readers"] == [f"serviceAccount:{accounts[name]}" for name in ("nodes", "deployer")]
    own = terraform.plan(names)
    assert own.outputs["image"] == "us-central1-docker.pkg.dev/my-production/cloudseg/engine"


def test_guide_shows_both_sides_of_one_image(everything: Plan) -> None:
    (shown,) = re.findall(r"^```hcl\n(.*?)^```$", (DOCS / "composer.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert f'image_repository = "{everything.outputs["image"]}"' in shown
    assert re.findall(r'"(serviceAccount:[^"]+)"', shown) == EVERYTHING["image_readers"]


def test_roles_of_the_delivery_match_the_guide(everything: Plan, options: Calls) -> None:
    made = {
        call[4]: (flag(call, "--project"), set(str(flag(call, "--permissions")).split(",")))
        for call in options.with_words("iam", "roles", "create")
    }
    planned = {
        role["role_id"]: (role["project"], set(role["permissions"]))
        for role in everything.of("google_project_iam_custom_role").values()
    }
    assert made.keys() == {"cloudsegDeployer", "cloudsegSmokeTest"}
    assert {name: planned[name] for name in made} == made


def test_notifications_match_the_guide(everything: Plan, options: Calls) -> None:
    (notify,) = options.with_words("notifications", "create")
    (subscribe,) = options.with_words("subscriptions", "create")
    notification = only(everything, "google_storage_notification")
    assert notification["topic"] == flag(notify, "--topic") == flag(subscribe, "--topic")
    assert notification["bucket"] == notify[5].removeprefix("gs://")
    assert notification["event_types"] == [flag(notify, "--event-types")]
    assert notification["payload_format"].lower() == flag(notify, "--payload-format")
    subscription = only(everything, "google_pubsub_subscription")
    assert subscription["name"] == subscribe[4]
    assert str(subscription["ack_deadline_seconds"]) == flag(subscribe, "--ack-deadline")
    assert subscription["message_retention_duration"] == "600s"
    assert flag(subscribe, "--message-retention-duration") == "10m"
    assert (subscription["expiration_policy"][0]["ttl"], flag(subscribe, "--expiration-period")) == ("", "never")
