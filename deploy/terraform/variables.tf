# The settings that differ between environments. Each environment (staging, production) has two projects and its own
# state.

variable "project" {
  description = "Project of the buckets, the images and the cluster."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project id has 6 to 30 lower-case letters, digits and hyphens, and starts with a letter."
  }
}

variable "airflow_project" {
  description = "Project of Composer only, because its worker role can access every bucket and pod in its project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.airflow_project))
    error_message = "A project id has 6 to 30 lower-case letters, digits and hyphens, and starts with a letter."
  }

  validation {
    condition     = var.airflow_project != var.project
    error_message = "Composer needs its own project: roles/composer.worker would bypass all restrictions in the other."
  }
}

variable "region" {
  description = "Region of all resources; it must have the GPUs."
  type        = string
  default     = "us-central1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "Must be a region such as us-central1; set zones in `zones`."
  }
}

variable "zones" {
  description = "Zones of the region that have the GPUs, for a Standard cluster; null: zones a, b and c."
  type        = list(string)
  default     = null

  validation {
    condition     = alltrue([for zone in coalesce(var.zones, ["${var.region}-a"]) : startswith(zone, "${var.region}-")])
    error_message = "Every zone must be in `region`."
  }

  validation {
    condition     = var.zones == null ? true : length(var.zones) > 0
    error_message = "Must have at least one zone, or be null."
  }
}

variable "gpus" {
  description = "Maximum number of concurrent pods, and so of GPUs: slots of the Airflow pool, nodes of each GPU pool."
  type        = number
  default     = 4

  validation {
    condition     = var.gpus >= 1 && floor(var.gpus) == var.gpus
    error_message = "Must be a positive integer."
  }
}

variable "spot" {
  description = "Whether chunks run on Spot nodes, except for their last try (CLOUDSEG_LAST_TRY_ON_DEMAND)."
  type        = bool
  default     = true
}

variable "autopilot" {
  description = "true: an Autopilot cluster. false: a Standard cluster with pools of g2-standard-4."
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
    error_message = "Must be an IPv4 range such as 10.10.0.0/22."
  }
}

variable "namespace" {
  description = "Kubernetes namespace of the pods (CLOUDSEG_NAMESPACE); no other cluster of the project may use it."
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
  description = "Name of another environment's image (its output `image`) to use; null: this environment's own image."
  type        = string
  default     = null

  validation {
    condition     = var.image_repository == null || can(regex("^[a-z0-9.-]+(/[a-z0-9._-]+)+$", var.image_repository))
    error_message = "Must be like us-central1-docker.pkg.dev/my-project/cloudseg/engine, without tag or digest."
  }
}

variable "image_readers" {
  description = "Who else can pull the image: nodes and deployer of an environment that uses it, as `serviceAccount:…`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.image_readers : can(regex("^[A-Za-z]+:.+$", member))])
    error_message = "Must be members such as serviceAccount:cloudseg-nodes@my-production.iam.gserviceaccount.com."
  }
}

variable "soft_delete_days" {
  description = "Days during which photographs deleted from INPUT and masks deleted from OUTPUT can be restored."
  type        = number
  default     = 7

  validation {
    condition     = var.soft_delete_days >= 7 && var.soft_delete_days <= 90
    error_message = "Must be 7 to 90 days. Cloud Storage also accepts 0, but then deleted inputs could not be restored."
  }
}

variable "staging_days" {
  description = "Days after which a run's files in STAGING are deleted; it can then no longer be cleared or audited."
  type        = number
  default     = 90

  validation {
    condition     = var.staging_days >= 7
    error_message = "Must be at least 7, so that a run can be audited for as long as its inputs can be restored."
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
    error_message = "Must be SMALL, MEDIUM or LARGE."
  }
}

variable "workers" {
  description = "Airflow workers: minimum, maximum and size. A waiting chunk occupies a slot and about 230 MiB."
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
    error_message = "`min` must be at least 1, and `max` at least `min`."
  }
}

variable "private_environment" {
  description = "Whether Composer has no internet access; git server and packages must then be in the private network."
  type        = bool
  default     = false
}

variable "airflow_network" {
  description = "Network and subnetwork of `airflow_project` to attach Composer to; null: none, without private hosts."
  type        = object({ network = string, subnetwork = string })
  default     = null
}

variable "web_server_ranges" {
  description = "Address ranges that can reach Airflow's UI, with descriptions; null: all. A login is always needed."
  type        = map(string)
  default     = null
}

variable "model_repository" {
  description = "Git URL of the model registry (CLOUDSEG_MODEL_REPOSITORY)."
  type        = string

  validation {
    condition     = !can(regex("^[a-z+]+://[^/]*:[^/]*@", var.model_repository))
    error_message = "A password would be visible in Composer's console and in the state; see docs/operations.md."
  }
}

variable "model_revision" {
  description = "Pinned model (CLOUDSEG_MODEL_REVISION): an artifact, a version or a stage of it, or a tag, a branch or a commit."
  type        = string
}

variable "model_bucket" {
  description = "Bucket of the registry's DVC remote, to grant read access; null: it is not a bucket, or is public."
  type        = string
  default     = null
}

variable "schedule" {
  description = "The DAG's schedule (CLOUDSEG_SCHEDULE); none: runs are triggered manually."
  type        = string
  default     = "none"
}

variable "settings" {
  description = "Further CLOUDSEG_* variables of the environment. No secrets: they are visible in Composer's console."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^CLOUDSEG_[A-Z_]+$", name))])
    error_message = "Each name must start with CLOUDSEG_; the README and docs/settings.md list all settings."
  }
}

variable "make_pool" {
  description = "Whether to create the Airflow pool; requires a gcloud that supports Airflow 3."
  type        = bool
  default     = true
}

variable "pubsub" {
  description = "Whether a Pub/Sub subscription announces new photographs, so that they can start a run."
  type        = bool
  default     = false
}

variable "github_repository_id" {
  description = "Id of the GitHub repository that delivers (`gh api repos/OWNER/NAME --jq .id`); null: none."
  type        = string
  default     = null

  validation {
    condition     = var.github_repository_id == null || can(regex("^[0-9]+$", var.github_repository_id))
    error_message = "Must be a number, not OWNER/NAME: `gh api repos/OWNER/NAME --jq .id` prints it."
  }
}

variable "github_environment" {
  description = "GitHub environment whose jobs can deliver; set its reviewers and branches on GitHub."
  type        = string
  default     = "staging"
}

variable "alert_email" {
  description = "Email address for alerts; null: alerts appear only in the console."
  type        = string
  default     = null
}

variable "notification_channels" {
  description = "Full names of further, existing notification channels, by project."
  type        = map(list(string))
  default     = {}
}

variable "hours_without_success" {
  description = "Alert if no run has succeeded for this many hours, for instance 26 for daily runs; null: no alert."
  type        = number
  default     = null

  validation {
    condition = (
      var.hours_without_success == null ? true :
      var.hours_without_success >= 1 && floor(var.hours_without_success) == var.hours_without_success
    )
    error_message = "Must be a positive integer, or null."
  }
}

variable "quarantined_share" {
  description = "Alert if a larger share of a run's inputs went into quarantine."
  type        = number
  default     = 0.05

  validation {
    condition     = var.quarantined_share > 0 && var.quarantined_share < 1
    error_message = "Must be between 0 and 1, exclusive."
  }
}

variable "task_log_field" {
  description = "Field of a Cloud Logging entry that contains a task's log line."
  type        = string
  default     = "textPayload"

  validation {
    condition     = contains(["textPayload", "jsonPayload.message"], var.task_log_field)
    error_message = "Must be textPayload or jsonPayload.message."
  }
}
