# The repository of the engine's image, and who can pull it: this environment's nodes, and those of environments that
# share the image.

locals {
  # An environment can use the image that another one has tested, by naming it here.
  image = coalesce(var.image_repository, "${var.region}-docker.pkg.dev/${var.project}/${var.repository}/engine")
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = var.region
  repository_id = var.repository
  format        = "DOCKER"
  description   = "The image of cloudseg's engine"

  # A release's image is built once and never replaced.
  docker_config {
    immutable_tags = true
  }

  depends_on = [google_project_service.api]
}

resource "google_artifact_registry_repository_iam_member" "nodes" {
  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.nodes.member
}

resource "google_artifact_registry_repository_iam_member" "readers" {
  for_each = toset(var.image_readers)

  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.reader"
  member     = each.value
}
