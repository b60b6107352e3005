# No bucket has a retention policy, because cloudseg deletes from INPUT and overwrites objects in the others.

locals {
  # Allows restoring photographs deleted by mistake. Soft-deleted bytes are charged like live ones.
  soft_delete_seconds = var.soft_delete_days * 24 * 3600
}

resource "google_storage_bucket" "input" {
  project                     = var.project
  name                        = "${var.project}-cloudseg-input"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  soft_delete_policy {
    retention_duration_seconds = local.soft_delete_seconds
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket" "output" {
  project                     = var.project
  name                        = "${var.project}-cloudseg-output"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  soft_delete_policy {
    retention_duration_seconds = local.soft_delete_seconds
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.api]
}

resource "google_storage_bucket" "staging" {
  project                     = var.project
  name                        = "${var.project}-cloudseg-staging"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  # Everything in STAGING can be regenerated.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # Deletes the files of runs; models stay.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = var.staging_days
      matches_prefix = ["runs/"]
    }
  }

  depends_on = [google_project_service.api]
}
