# What differs between environments. Each environment (staging, production) has two projects and a state of its own.

variable "project" {
  description = "Project of the buckets, the images and the cluster."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "airflow_project" {
  description = "Project of Composer alone: its worker role reaches every bucket and every pod of its project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.airflow_project))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and hyphens, and begins with a letter."
  }

  validation {
    condition     = var.airflow_project != var.project
    error_message = "Composer needs a separate project: roles/composer.worker would void every grant in the other."
  }
}

variable "region" {
  description = "Region of everything; it must have the GPUs."
  type        = string
  default     = "us-central1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region is named like us-central1; zones go into `zones`."
  }
}

variable "zones" {
  description = "Zones of the region that have the GPUs, for a Standard cluster; null: its zones a, b and c."
  type        = list(string)
  default     = null

  validation {
    condition     = alltrue([for zone in coalesce(var.zones, ["${var.region}-a"]) : startswith(zone, "${var.region}-")])
    error_message = "Every zone must be one of `region`."
  }

  validation {
    condition     = var.zones == null ? true : length(var.zones) > 0
    error_message = "One zone at least, or null."
  }
}

variable "gpus" {
  description = "Pods, and so GPUs, at once: slots of the Airflow pool, and nodes of each GPU pool of the cluster."
  type        = number
  default     = 4

  validation {
    condition     = var.gpus >= 1 && floor(var.gpus) == var.gpus
    error_message = "A whole number above 0."
  }
}

variable "spot" {
  description = "Whether chunks run on Spot nodes; their last try does not (CLOUDSEG_LAST_TRY_ON_DEMAND)."
  type        = bool
  default     = true
}

variable "autopilot" {
  description = "true: an Autopilot cluster. false: a Standard one with pools of g2-standard-4."
  type        = bool
  default     = true
}

variable "cluster" {
  description = "Name of the GKE cluster."
  type        = string
  default     = "cloudseg"
}

variable "network" {
  description = "Name of the cluster's network and subnetwork."
  type        = string
  default     = "cloudseg"
}

variable "subnet_range" {
  description = "Address range of the cluster's nodes."
  type        = string
  default     = "10.10.0.0/22"

  validation {
    condition     = can(cidrnetmask(var.subnet_range))
    error_message = "An IPv4 range such as 10.10.0.0/22."
  }
}

variable "namespace" {
  description = "Kubernetes namespace of the pods (CLOUDSEG_NAMESPACE). No other cluster of the project may have it."
  type        = string
  default     = "cloudseg"
}

variable "pod_account" {
  description = "Kubernetes service account of the pods (CLOUDSEG_SERVICE_ACCOUNT)."
  type        = string
  default     = "cloudseg-engine"
}

variable "repository" {
  description = "Artifact Registry repository of the engine's image."
  type        = string
  default     = "cloudseg"
}

variable "image_repository" {
  description = "Name of another environment's image (its output `image`) to take instead of an own one; null: its own."
  type        = string
  default     = null

  validation {
    condition     = var.image_repository == null || can(regex("^[a-z0-9.-]+(/[a-z0-9._-]+)+$", var.image_repository))
    error_message = "A name such as us-central1-docker.pkg.dev/my-project/cloudseg/engine, without tag and digest."
  }
}

variable "image_readers" {
  description = "Who else may pull the image: nodes and deployer of an environment that takes it, as `serviceAccount:…`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.image_readers : can(regex("^[A-Za-z]+:.+$", member))])
    error_message = "Members, such as serviceAccount:cloudseg-nodes@my-production.iam.gserviceaccount.com."
  }
}

variable "soft_delete_days" {
  description = "Days in which a photograph that was deleted from INPUT, or a mask from OUTPUT, can be restored."
  type        = number
  default     = 7

  validation {
    condition     = var.soft_delete_days >= 7 && var.soft_delete_days <= 90
    error_message = "Cloud Storage keeps soft-deleted objects for 7 to 90 days; 0, which it would take, loses inputs."
  }
}

variable "staging_days" {
  description = "Days after which a run's lists in STAGING are deleted; it cannot be cleared or audited any more."
  type        = number
  default     = 90

  validation {
    condition     = var.staging_days >= 7
    error_message = "At least 7: a run is to be audited for as long as its inputs can be restored."
  }
}

variable "environment" {
  description = "Name of the Composer environment."
  type        = string
  default     = "airflow"
}

variable "image_version" {
  description = "Version of Composer and Airflow."
  type        = string
  default     = "composer-3-airflow-3.3.1"

  validation {
    condition     = can(regex("^composer-3-airflow-3\\.(1\\.7|3\\.1)(-build\\.[0-9]+)?$", var.image_version))
    error_message = "cloudseg is tested on composer-3-airflow-3.3.1 and composer-3-airflow-3.1.7."
  }
}

variable "environment_size" {
  description = "Size of Composer's own infrastructure: SMALL, MEDIUM or LARGE."
  type        = string
  default     = "SMALL"

  validation {
    condition     = contains(["SMALL", "MEDIUM", "LARGE"], var.environment_size)
    error_message = "SMALL, MEDIUM or LARGE."
  }
}

variable "workers" {
  description = "Airflow workers: least and most, and what each has. A chunk that waits holds a slot and about 230 MiB."
  type = object({
    min        = number
    max        = number
    cpu        = number
    memory_gb  = number
    storage_gb = number
  })
  default = { min = 1, max = 3, cpu = 1, memory_gb = 4, storage_gb = 10 }

  validation {
    condition     = var.workers.min >= 1 && var.workers.max >= var.workers.min
    error_message = "At least 1, and not more at least than at most."
  }
}

variable "private_environment" {
  description = "Whether Composer has no way to the internet. Your git server and packages must then be reachable inside."
  type        = bool
  default     = false
}

variable "airflow_network" {
  description = "Network and subnetwork of `airflow_project` that Composer is attached to; null: none, no private hosts."
  type        = object({ network = string, subnetwork = string })
  default     = null
}

variable "web_server_ranges" {
  description = "Address ranges that may reach Airflow's UI, with what each is; null: all. It asks for a login anyway."
  type        = map(string)
  default     = null
}

variable "model_repository" {
  description = "Git URL of the model registry (CLOUDSEG_MODEL_REPOSITORY)."
  type        = string

  validation {
    condition     = !can(regex("^[a-z+]+://[^/]*:[^/]*@", var.model_repository))
    error_message = "A password would be readable in Composer's console and in the state: docs/operations.md has a better place for it."
  }
}

variable "model_revision" {
  description = "Pinned revision of the model (CLOUDSEG_MODEL_REVISION): a tag, a branch or a commit."
  type        = string
}

variable "model_bucket" {
  description = "Bucket that is the registry's DVC remote, for the right to read it; null: it is no bucket, or public."
  type        = string
  default     = null
}

variable "schedule" {
  description = "The DAG's schedule (CLOUDSEG_SCHEDULE); none: runs are triggered by hand."
  type        = string
  default     = "none"
}

variable "settings" {
  description = "Further CLOUDSEG_* variables of the environment. No secrets: they are readable in Composer's console."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^CLOUDSEG_[A-Z_]+$", name))])
    error_message = "Each name begins with CLOUDSEG_; the README and docs/settings.md list them."
  }
}

variable "make_pool" {
  description = "Whether the Airflow pool is made as well; it takes a gcloud that knows Airflow 3."
  type        = bool
  default     = true
}

variable "pubsub" {
  description = "Whether a Pub/Sub subscription tells of new photographs, so that a run may start as they arrive."
  type        = bool
  default     = false
}

variable "github_repository_id" {
  description = "Id of the GitHub repository that delivers (`gh api repos/OWNER/NAME --jq .id`); null: nobody does."
  type        = string
  default     = null

  validation {
    condition     = var.github_repository_id == null || can(regex("^[0-9]+$", var.github_repository_id))
    error_message = "The id is a number, not OWNER/NAME: `gh api repos/OWNER/NAME --jq .id` tells it."
  }
}

variable "github_environment" {
  description = "Environment of that repository whose jobs may deliver; its reviewers and branches are set on GitHub."
  type        = string
  default     = "staging"
}

variable "alert_email" {
  description = "Address that alerts go to; null: they only show in the console."
  type        = string
  default     = null
}

variable "notification_channels" {
  description = "Further notification channels by project: full names, made elsewhere."
  type        = map(list(string))
  default     = {}
}

variable "hours_without_success" {
  description = "An alert tells when no run has succeeded for so many hours: 26, once runs are daily; null: none."
  type        = number
  default     = null

  validation {
    condition = (
      var.hours_without_success == null ? true :
      var.hours_without_success >= 1 && floor(var.hours_without_success) == var.hours_without_success
    )
    error_message = "A whole number of hours above 0, or null."
  }
}

variable "quarantined_share" {
  description = "An alert tells when a larger share of a run's inputs went into quarantine."
  type        = number
  default     = 0.05

  validation {
    condition     = var.quarantined_share > 0 && var.quarantined_share < 1
    error_message = "A share between 0 and 1."
  }
}

variable "task_log_field" {
  description = "Field of a Cloud Logging entry that holds a task's log line."
  type        = string
  default     = "textPayload"

  validation {
    condition     = contains(["textPayload", "jsonPayload.message"], var.task_log_field)
    error_message = "textPayload or jsonPayload.message."
  }
}
