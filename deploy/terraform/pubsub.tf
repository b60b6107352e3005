# Optional: Cloud Storage tells of each new photograph, so that a run may start as they arrive. Only new objects are
# told of: cloudseg's own deletes would start runs for nothing. It is a bell: no payload, and old ones are worth nothing.

data "google_storage_project_service_account" "this" {
  count = var.pubsub ? 1 : 0

  project = var.project
}

resource "google_pubsub_topic" "uploads" {
  count = var.pubsub ? 1 : 0

  project = var.project
  name    = "cloudseg-photographs"

  depends_on = [google_project_service.api]
}

resource "google_pubsub_topic_iam_member" "storage" {
  count = var.pubsub ? 1 : 0

  project = var.project
  topic   = google_pubsub_topic.uploads[0].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${data.google_storage_project_service_account.this[0].email_address}"
}

resource "google_storage_notification" "uploads" {
  count = var.pubsub ? 1 : 0

  bucket         = google_storage_bucket.input.name
  topic          = google_pubsub_topic.uploads[0].id
  payload_format = "NONE"
  event_types    = ["OBJECT_FINALIZE"]

  depends_on = [google_pubsub_topic_iam_member.storage]
}

resource "google_pubsub_subscription" "uploads" {
  count = var.pubsub ? 1 : 0

  project                    = var.project
  name                       = "cloudseg-photographs"
  topic                      = google_pubsub_topic.uploads[0].id
  ack_deadline_seconds       = 60
  message_retention_duration = "600s"

  # Never: a team that pauses the DAG for a month would find it gone.
  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription_iam_member" "airflow" {
  count = var.pubsub ? 1 : 0

  project      = var.project
  subscription = google_pubsub_subscription.uploads[0].name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.airflow.member
}
