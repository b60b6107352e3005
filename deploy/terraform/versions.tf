terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.7"
    }
    # Used only for the Composer environment, because the google provider cannot change its image version in place.
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "~> 8.7"
    }
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = "~> 3.4"
    }
  }

  # Set the bucket of the state with `terraform init -backend-config="bucket=…"`.
  backend "gcs" {
    prefix = "cloudseg"
  }
}

provider "google" {
  region = var.region
}

provider "google-beta" {
  region = var.region
}

data "google_client_config" "caller" {}

# The cluster's DNS endpoint has a public certificate and is reachable from anywhere that can reach Google's APIs.
provider "kubernetes" {
  host  = "https://${local.cluster.control_plane_endpoints_config[0].dns_endpoint_config[0].endpoint}"
  token = data.google_client_config.caller.access_token
}
