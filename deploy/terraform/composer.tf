# Airflow. Terraform creates the environment with the variables that it knows; afterwards, the delivery (`make deploy`),
# which knows the image's digest, manages packages and variables, and Terraform ignores changes to them.

locals {
  variables = merge(
    {
      CLOUDSEG_INPUT_BUCKET     = google_storage_bucket.input.name
      CLOUDSEG_STAGING_BUCKET   = google_storage_bucket.staging.name
      CLOUDSEG_OUTPUT_BUCKET    = google_storage_bucket.output.name
      CLOUDSEG_MODEL_REPOSITORY = var.model_repository
      CLOUDSEG_MODEL_REVISION   = var.model_revision
      CLOUDSEG_SCHEDULE         = var.schedule
      CLOUDSEG_RUNTIME          = "gke"
      CLOUDSEG_GKE_PROJECT      = var.project
      CLOUDSEG_GKE_LOCATION     = var.region
      CLOUDSEG_GKE_CLUSTER      = var.cluster
      CLOUDSEG_NAMESPACE        = var.namespace
      CLOUDSEG_SERVICE_ACCOUNT  = var.pod_account
      CLOUDSEG_GPU_TYPE         = "nvidia-l4"
      CLOUDSEG_SPOT             = tostring(var.spot)
      CLOUDSEG_POOL_SLOTS       = tostring(var.gpus)
    },
    # Standard pools are created with a driver; on Autopilot, the pod selects it.
    var.autopilot ? { CLOUDSEG_NODE_SELECTOR = "cloud.google.com/gke-gpu-driver-version=latest" } : {},
    var.pubsub ? { CLOUDSEG_PUBSUB_SUBSCRIPTION = google_pubsub_subscription.uploads[0].id } : {},
    var.settings,
  )
}

resource "google_composer_environment" "this" {
  provider = google-beta

  project = var.airflow_project
  name    = var.environment
  region  = var.region

  config {
    environment_size           = "ENVIRONMENT_SIZE_${var.environment_size}"
    enable_private_environment = var.private_environment
    enable_private_builds_only = var.private_environment

    software_config {
      image_version = var.image_version
      env_variables = local.variables
    }

    node_config {
      service_account = google_service_account.airflow.email
      network         = try(var.airflow_network.network, null)
      subnetwork      = try(var.airflow_network.subnetwork, null)
    }

    workloads_config {
      worker {
        cpu        = var.workers.cpu
        memory_gb  = var.workers.memory_gb
        storage_gb = var.workers.storage_gb
        min_count  = var.workers.min
        max_count  = var.workers.max
      }
    }

    dynamic "web_server_network_access_control" {
      for_each = var.web_server_ranges == null ? [] : [var.web_server_ranges]

      content {
        dynamic "allowed_ip_range" {
          for_each = web_server_network_access_control.value

          content {
            value       = allowed_ip_range.key
            description = allowed_ip_range.value
          }
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [
      config[0].software_config[0].env_variables,
      config[0].software_config[0].pypi_packages,
    ]
  }

  depends_on = [google_project_iam_member.composer_worker]
}

# The Airflow pool that limits the number of concurrent pods; `cloudseg pool` runs the same command.
locals {
  pool_command = join(" ", [
    "gcloud composer environments run ${google_composer_environment.this.name} --location ${var.region}",
    "--project ${var.airflow_project} pools set -- ${lookup(var.settings, "CLOUDSEG_POOL", "cloudseg_gpu")} ${var.gpus}",
    "'Chunks at once, deferred ones included' --include-deferred",
  ])
}

resource "terraform_data" "pool" {
  count = var.make_pool ? 1 : 0

  triggers_replace = [local.pool_command]

  provisioner "local-exec" {
    command = local.pool_command
  }
}
