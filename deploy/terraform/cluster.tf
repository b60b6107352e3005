# The cluster. Nodes have no public addresses and there is no Cloud NAT: through Private Google Access they reach
# Google's APIs and registries, which is all that pods need.

resource "google_service_account" "nodes" {
  project      = var.project
  account_id   = "cloudseg-nodes"
  display_name = "cloudseg: nodes of the cluster"

  depends_on = [google_project_service.api]
}

# The first role is for logs and metrics; image streaming needs the second if nodes do not use the default account.
resource "google_project_iam_member" "nodes" {
  for_each = toset(["roles/container.defaultNodeServiceAccount", "roles/serviceusage.serviceUsageConsumer"])

  project = var.project
  role    = each.value
  member  = google_service_account.nodes.member
}

resource "google_compute_network" "this" {
  project                 = var.project
  name                    = var.network
  auto_create_subnetworks = false

  depends_on = [google_project_service.api]
}

resource "google_compute_subnetwork" "this" {
  project                  = var.project
  name                     = var.network
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = var.subnet_range
  private_ip_google_access = true
}

locals {
  cluster = one(concat(google_container_cluster.autopilot, google_container_cluster.standard))
  zones   = coalesce(var.zones, [for letter in ["a", "b", "c"] : "${var.region}-${letter}"])
  scopes  = ["https://www.googleapis.com/auth/cloud-platform"]
}

resource "google_container_cluster" "autopilot" {
  count = var.autopilot ? 1 : 0

  project             = var.project
  name                = var.cluster
  location            = var.region
  enable_autopilot    = true
  network             = google_compute_network.this.id
  subnetwork          = google_compute_subnetwork.this.id
  deletion_protection = true

  release_channel {
    channel = "REGULAR"
  }

  private_cluster_config {
    enable_private_nodes = true
  }

  control_plane_endpoints_config {
    dns_endpoint_config {
      allow_external_traffic = true
    }
    ip_endpoints_config {
      enabled = false
    }
  }

  cluster_autoscaling {
    auto_provisioning_defaults {
      service_account = google_service_account.nodes.email
      oauth_scopes    = local.scopes
    }
  }

  ip_allocation_policy {}

  depends_on = [google_project_iam_member.nodes]
}

resource "google_container_cluster" "standard" {
  count = var.autopilot ? 0 : 1

  project             = var.project
  name                = var.cluster
  location            = var.region
  node_locations      = [local.zones[0]]
  network             = google_compute_network.this.id
  subnetwork          = google_compute_subnetwork.this.id
  datapath_provider   = "ADVANCED_DATAPATH"
  deletion_protection = true

  # A cluster cannot be created without a pool; those in nodes.tf replace this one.
  remove_default_node_pool = true
  initial_node_count       = 1

  release_channel {
    channel = "REGULAR"
  }

  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }

  private_cluster_config {
    enable_private_nodes = true
  }

  control_plane_endpoints_config {
    dns_endpoint_config {
      allow_external_traffic = true
    }
    ip_endpoints_config {
      enabled = false
    }
  }

  cluster_autoscaling {
    enabled             = false # no node pools except those in nodes.tf
    autoscaling_profile = "OPTIMIZE_UTILIZATION"
  }

  ip_allocation_policy {}

  node_config {
    machine_type    = "e2-standard-2"
    service_account = google_service_account.nodes.email
    oauth_scopes    = local.scopes
  }

  lifecycle {
    ignore_changes = [node_config] # of the removed default pool
  }

  depends_on = [google_project_iam_member.nodes]
}
