# Alerts. docs/operations.md describes each one under the same name: what it means and what to do.

locals {
  alerted = var.alert_email == null ? toset([]) : toset([var.project, var.airflow_project])
  channels = { for project in [var.project, var.airflow_project] : project => concat(
    [for owner, channel in google_monitoring_notification_channel.email : channel.name if owner == project],
    lookup(var.notification_channels, project, []),
  ) }

  # The resource label may or may not have the environment's name before that of the DAG.
  dag = "(.*\\.)?cloud_segmentation"

  composer = "monitored_resource=\"cloud_composer_environment\""
  share    = "logging_googleapis_com:user_${google_logging_metric.quarantined_share.name}"

  runbook = "See docs/operations.md of cloudseg, under the name of this alert: what it means and what to do."
}

resource "google_monitoring_notification_channel" "email" {
  for_each = local.alerted

  project      = each.value
  display_name = "cloudseg"
  type         = "email"
  labels       = { email_address = var.alert_email }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_alert_policy" "run_failed" {
  project      = var.airflow_project
  display_name = "cloudseg: a run failed"
  combiner     = "OR"
  severity     = "ERROR"

  conditions {
    display_name = "Failed runs of cloud_segmentation"

    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"cloud_composer_workflow\"",
        "resource.labels.workflow_name = monitoring.regex.full_match(\"${replace(local.dag, "\\", "\\\\")}\")",
        "metric.type = \"composer.googleapis.com/workflow/run_count\"",
        "metric.labels.state = \"failed\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_SUM"
      }
    }
  }

  documentation {
    content = local.runbook
  }

  notification_channels = local.channels[var.airflow_project]
  depends_on            = [google_composer_environment.this]
}

# Runs that find nothing new also succeed, so a lack of successful runs means that none ran. Leave this alert off if
# runs are not scheduled: it would fire permanently.
resource "google_monitoring_alert_policy" "no_success" {
  count = var.hours_without_success == null ? 0 : 1

  project      = var.airflow_project
  display_name = "cloudseg: no successful run"
  combiner     = "OR"
  severity     = "ERROR"

  conditions {
    display_name = "No run of cloud_segmentation succeeded for ${var.hours_without_success} hours"

    condition_prometheus_query_language {
      query = join("", [
        "(sum(increase(composer_googleapis_com:workflow_run_count{",
        "monitored_resource=\"cloud_composer_workflow\",",
        "workflow_name=~\"${replace(local.dag, "\\", "\\\\")}\",state=\"success\"}",
        "[${var.hours_without_success}h])) or vector(0)) < 1",
      ])
      duration                  = "600s"
      evaluation_interval       = "600s"
      disable_metric_validation = true
    }
  }

  documentation {
    content = local.runbook
  }

  notification_channels = local.channels[var.airflow_project]
  depends_on            = [google_composer_environment.this]
}

resource "google_monitoring_alert_policy" "import_error" {
  project      = var.airflow_project
  display_name = "cloudseg: a DAG cannot be imported"
  combiner     = "OR"
  severity     = "ERROR"

  conditions {
    display_name = "Import errors of ${var.environment}"

    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"cloud_composer_environment\"",
        "resource.labels.environment_name = \"${var.environment}\"",
        "metric.type = \"composer.googleapis.com/environment/dag_processing/parse_error_count\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "600s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content = local.runbook
  }

  notification_channels = local.channels[var.airflow_project]
  depends_on            = [google_composer_environment.this]
}

# Matches the log line directly, without a metric in between.
resource "google_monitoring_alert_policy" "inputs_lost" {
  project      = var.airflow_project
  display_name = "cloudseg: inputs lost"
  combiner     = "OR"
  severity     = "CRITICAL"

  conditions {
    display_name = "The audit of a run found inputs lost"

    condition_matched_log {
      filter = join("\n", concat(local.figures, ["${var.task_log_field}=~\"lost=[1-9]\""]))
    }
  }

  alert_strategy {
    auto_close = "604800s"

    notification_rate_limit {
      period = "300s"
    }
  }

  documentation {
    content = local.runbook
  }

  notification_channels = local.channels[var.airflow_project]
  depends_on            = [google_project_service.api]
}

# Each run logs one value, so the mean is that value. A new log-based metric is unknown for some minutes, so validation
# is disabled.
resource "google_monitoring_alert_policy" "quarantined" {
  project      = var.airflow_project
  display_name = "cloudseg: too many inputs quarantined"
  combiner     = "OR"
  severity     = "WARNING"

  conditions {
    display_name = "More than ${var.quarantined_share * 100} % of a run's inputs went into quarantine"

    condition_prometheus_query_language {
      query = join("", [
        "sum(increase(${local.share}_sum{${local.composer}}[10m]))",
        " / sum(increase(${local.share}_count{${local.composer}}[10m])) > ${var.quarantined_share}",
      ])
      duration                  = "0s"
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }

  documentation {
    content = local.runbook
  }

  notification_channels = local.channels[var.airflow_project]
}

# The scheduler reports an unschedulable pod about every five minutes; adding a node takes less than these 20 minutes.
resource "google_monitoring_alert_policy" "pods_without_node" {
  project      = var.project
  display_name = "cloudseg: pods find no node"
  combiner     = "OR"
  severity     = "WARNING"

  conditions {
    display_name = "Pods without a node for 20 minutes"

    condition_prometheus_query_language {
      query = join("", [
        "sum(increase(logging_googleapis_com:user_${google_logging_metric.pods_without_node.name}",
        "{monitored_resource=\"k8s_pod\"}[10m])) > 0",
      ])
      duration                  = "1200s"
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }

  documentation {
    content = local.runbook
  }

  notification_channels = local.channels[var.project]
}

resource "google_monitoring_alert_policy" "input_bucket_changed" {
  project      = var.project
  display_name = "cloudseg: the input bucket's settings changed"
  combiner     = "OR"
  severity     = "WARNING"

  conditions {
    display_name = "${google_storage_bucket.input.name} was updated: is soft delete still on?"

    condition_matched_log {
      filter = join("\n", [
        "log_id(\"cloudaudit.googleapis.com/activity\")",
        "resource.type=\"gcs_bucket\"",
        "resource.labels.bucket_name=\"${google_storage_bucket.input.name}\"",
        "protoPayload.methodName=\"storage.buckets.update\"",
      ])
    }
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content = local.runbook
  }

  notification_channels = local.channels[var.project]
}
