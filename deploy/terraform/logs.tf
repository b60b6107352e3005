# Log-based metrics: the figures of a run, and the cluster's scheduling events.

locals {
  # Matches the line `figures: …`, which the task `report` logs at the end of each run.
  figures = [
    "log_id(\"airflow-worker\")",
    "resource.type=\"cloud_composer_environment\"",
    "resource.labels.environment_name=\"${var.environment}\"",
    "labels.workflow=\"cloud_segmentation\"",
    "labels.task-id=\"report\"",
    "${var.task_log_field}=~\"figures: objects=\"",
  ]
}

resource "google_logging_metric" "quarantined_share" {
  project         = var.airflow_project
  name            = "cloudseg_quarantined_share"
  description     = "Share of a run's inputs that went into quarantine, 0 to 1"
  filter          = join("\n", local.figures)
  value_extractor = "REGEXP_EXTRACT(${var.task_log_field}, \"quarantined_share=([0-9.]+)\")"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "1"
  }

  bucket_options {
    explicit_buckets {
      bounds = [0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_logging_metric" "pods_without_node" {
  project     = var.project
  name        = "cloudseg_pods_without_node"
  description = "Events about pods of cloudseg that Kubernetes cannot schedule"
  filter = join("\n", [
    "log_id(\"events\")",
    "resource.type=\"k8s_pod\"",
    "resource.labels.cluster_name=\"${var.cluster}\"",
    "resource.labels.namespace_name=\"${var.namespace}\"",
    "jsonPayload.reason=(\"FailedScheduling\" OR \"NotTriggerScaleUp\")",
  ])

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.api]
}
