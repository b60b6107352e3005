# The node pools of a Standard cluster. Autopilot creates nodes according to the pods' requests.

resource "google_container_node_pool" "system" {
  count = var.autopilot ? 0 : 1

  project        = var.project
  location       = var.region
  cluster        = google_container_cluster.standard[0].name
  name           = "system"
  node_locations = [local.zones[0]]
  node_count     = 2

  node_config {
    machine_type    = "e2-standard-2"
    service_account = google_service_account.nodes.email
    oauth_scopes    = local.scopes

    gcfs_config {
      enabled = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}

locals {
  # A chunk's last try runs on `l4`; without that pool its pod could not be scheduled.
  gpu_pools = var.autopilot ? {} : merge({ l4 = false }, var.spot ? { l4-spot = true } : {})
}

resource "google_container_node_pool" "gpu" {
  for_each = local.gpu_pools

  project            = var.project
  location           = var.region
  cluster            = google_container_cluster.standard[0].name
  name               = each.key
  node_locations     = local.zones
  initial_node_count = 0

  autoscaling {
    total_min_node_count = 0
    total_max_node_count = var.gpus
    location_policy      = "ANY"
  }

  node_config {
    machine_type    = "g2-standard-4"
    spot            = each.value
    service_account = google_service_account.nodes.email
    oauth_scopes    = local.scopes

    # The image's CUDA 13 needs driver 580 or newer.
    guest_accelerator {
      type  = "nvidia-l4"
      count = 1

      gpu_driver_installation_config {
        gpu_driver_version = "LATEST"
      }
    }

    dynamic "taint" {
      for_each = each.value ? [true] : []

      content {
        key    = "cloud.google.com/gke-spot"
        value  = "true"
        effect = "NO_SCHEDULE"
      }
    }

    gcfs_config {
      enabled = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count]
  }

  # GKE taints a GPU pool only if the cluster already has another pool.
  depends_on = [google_container_node_pool.system]
}
