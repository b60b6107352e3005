# The pods' permissions, through Workload Identity Federation for GKE: IAM refers to their Kubernetes service account
# directly, so there is no Google service account to impersonate and no key.

data "google_project" "this" {
  project_id = var.project
}

locals {
  pods = join("", [
    "principal://iam.googleapis.com/projects/${data.google_project.this.number}/locations/global",
    "/workloadIdentityPools/${var.project}.svc.id.goog/subject/ns/${var.namespace}/sa/${var.pod_account}",
  ])
}

resource "google_storage_bucket_iam_member" "pods_input" {
  bucket = google_storage_bucket.input.name
  role   = "roles/storage.objectViewer"
  member = local.pods

  # The project's first cluster creates the identity pool.
  depends_on = [google_container_cluster.autopilot, google_container_cluster.standard]
}

resource "google_storage_bucket_iam_member" "pods_staging" {
  bucket = google_storage_bucket.staging.name
  role   = "roles/storage.objectViewer"
  member = local.pods

  depends_on = [google_container_cluster.autopilot, google_container_cluster.standard]
}

# Pods cannot write to models/, which other pods load.
resource "google_storage_bucket_iam_member" "pods_staging_runs" {
  bucket = google_storage_bucket.staging.name
  role   = "roles/storage.objectUser"
  member = local.pods

  condition {
    title      = "runs"
    expression = "resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.staging.name}/objects/runs/\")"
  }

  depends_on = [google_container_cluster.autopilot, google_container_cluster.standard]
}

resource "google_storage_bucket_iam_member" "pods_output" {
  bucket = google_storage_bucket.output.name
  role   = "roles/storage.objectUser"
  member = local.pods

  depends_on = [google_container_cluster.autopilot, google_container_cluster.standard]
}
