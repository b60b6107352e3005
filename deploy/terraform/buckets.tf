# No retention policy on any bucket: cloudseg deletes in INPUT and overwrites in the others.

locals {
  # What a photograph deleted by mistake is restored from. Its bytes are charged like live ones.
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

  # All of it can be made again.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # The lists of runs; models stay.
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
