# The APIs. They stay enabled when this configuration is destroyed, because others may use them.

locals {
  services = merge(
    { for name in [
      "artifactregistry", "compute", "container", "containerfilesystem", "iam", "logging", "monitoring", "storage",
    ] : "${var.project}/${name}" => { project = var.project, name = name } },
    { for name in ["composer", "iam", "iamcredentials", "logging", "monitoring", "sts"] :
    "${var.airflow_project}/${name}" => { project = var.airflow_project, name = name } },
    var.pubsub ? { "${var.project}/pubsub" = { project = var.project, name = "pubsub" } } : {},
  )
}

resource "google_project_service" "api" {
  for_each = local.services

  project            = each.value.project
  service            = "${each.value.name}.googleapis.com"
  disable_on_destroy = false
}
