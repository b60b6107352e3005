# Optional: Cloud Storage publishes a message for each new photograph, which can start a run. Only new objects are
# announced, because cloudseg's own deletes would start useless runs. Messages have no payload and expire quickly: they
# only trigger a run.

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

  # Never expires; otherwise the subscription would be deleted if the DAG were paused for a month.
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
