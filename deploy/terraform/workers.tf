# The Airflow workers can list, read and delete in INPUT, read and write STAGING and OUTPUT, and connect to the cluster.
# Their permissions inside the cluster are Kubernetes RBAC, in namespace.tf.

resource "google_service_account" "airflow" {
  project      = var.airflow_project
  account_id   = "cloudseg-airflow"
  display_name = "cloudseg: Airflow"

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "composer_worker" {
  project = var.airflow_project
  role    = "roles/composer.worker"
  member  = google_service_account.airflow.member
}

# roles/storage.objectUser would also allow writing to INPUT.
resource "google_project_iam_custom_role" "input_cleaner" {
  project     = var.project
  role_id     = "cloudsegInputCleaner"
  title       = "cloudseg: list, read and delete inputs"
  permissions = ["storage.objects.list", "storage.objects.get", "storage.objects.delete"]

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket_iam_member" "airflow_input" {
  bucket = google_storage_bucket.input.name
  role   = google_project_iam_custom_role.input_cleaner.name
  member = google_service_account.airflow.member
}

resource "google_storage_bucket_iam_member" "airflow_staging" {
  bucket = google_storage_bucket.staging.name
  role   = "roles/storage.objectUser"
  member = google_service_account.airflow.member
}

resource "google_storage_bucket_iam_member" "airflow_output" {
  bucket = google_storage_bucket.output.name
  role   = "roles/storage.objectUser"
  member = google_service_account.airflow.member
}

resource "google_storage_bucket_iam_member" "airflow_models" {
  count = var.model_bucket == null ? 0 : 1

  bucket = var.model_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.airflow.member
}

resource "google_project_iam_member" "airflow_cluster" {
  project = var.project
  role    = "roles/container.clusterViewer"
  member  = google_service_account.airflow.member
}
