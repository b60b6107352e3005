# Optional: the service account that delivers from GitHub. It has no key: GitHub's token for a job in one environment of
# one repository impersonates it. It can push the image, update the project's Composer environments, write to this
# environment's bucket, and list, read, write and delete in INPUT for the smoke test. Its permissions in Airflow are
# those of an Airflow role, by default Op for every account that can see the environment.

locals {
  deploys = var.github_repository_id == null ? 0 : 1
}

resource "google_service_account" "deployer" {
  count = local.deploys

  project      = var.airflow_project
  account_id   = "cloudseg-deployer"
  display_name = "cloudseg: delivery from GitHub"

  depends_on = [google_project_service.api]
}

resource "google_iam_workload_identity_pool" "github" {
  count = local.deploys

  project                   = var.airflow_project
  workload_identity_pool_id = "github"
  display_name              = "GitHub"

  depends_on = [google_project_service.api]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  count = local.deploys

  project                            = var.airflow_project
  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "cloudseg"
  # Use ids, because a repository's name can be released and taken by another owner, and the format of GitHub's subject
  # varies. A job without an environment lacks that claim: its token cannot be mapped and is rejected.
  attribute_mapping = {
    "google.subject"    = "assertion.sub"
    "attribute.deploys" = "assertion.repository_id + \":\" + assertion.environment"
  }
  # Without a condition, tokens of every repository on GitHub would be accepted.
  attribute_condition = "assertion.repository_id == '${var.github_repository_id}'"

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "github" {
  count = local.deploys

  service_account_id = google_service_account.deployer[0].name
  role               = "roles/iam.workloadIdentityUser"
  member = join("", [
    "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github[0].name}",
    "/attribute.deploys/${var.github_repository_id}:${var.github_environment}",
  ])
}

resource "google_artifact_registry_repository_iam_member" "deployer" {
  count = local.deploys

  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.deployer[0].member
}

resource "google_project_iam_custom_role" "deployer" {
  count = local.deploys

  project = var.airflow_project
  role_id = "cloudsegDeployer"
  title   = "cloudseg: update Composer environments"
  permissions = [
    "composer.environments.get",
    "composer.environments.update",
    "composer.operations.get",
  ]

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "deployer" {
  count = local.deploys

  project = var.airflow_project
  role    = google_project_iam_custom_role.deployer[0].name
  member  = google_service_account.deployer[0].member
}

# Updating the environment requires acting as the service account that it runs as.
resource "google_service_account_iam_member" "deployer" {
  count = local.deploys

  service_account_id = google_service_account.airflow.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.deployer[0].member
}

# The environment's own bucket, from Composer's gs://BUCKET/dags.
resource "google_storage_bucket_iam_member" "deployer" {
  count = local.deploys

  bucket = split("/", google_composer_environment.this.config[0].dag_gcs_prefix)[2]
  role   = "roles/storage.objectUser"
  member = google_service_account.deployer[0].member
}

# For uploading and deleting the smoke test's photograph. gcloud reads an object before it writes or deletes it, so that
# without get and list it fails with 403. roles/storage.objectUser would allow more.
resource "google_project_iam_custom_role" "smoke_test" {
  count = local.deploys

  project = var.project
  role_id = "cloudsegSmokeTest"
  title   = "cloudseg: list, read, write and delete inputs"
  permissions = [
    "storage.objects.list",
    "storage.objects.get",
    "storage.objects.create",
    "storage.objects.delete",
  ]

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_iam_member" "smoke_test" {
  count = local.deploys

  bucket = google_storage_bucket.input.name
  role   = google_project_iam_custom_role.smoke_test[0].name
  member = google_service_account.deployer[0].member
}
