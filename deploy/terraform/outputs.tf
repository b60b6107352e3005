output "airflow_ui" {
  description = "Airflow's UI."
  value       = google_composer_environment.this.config[0].airflow_uri
}

output "dags_folder" {
  description = "Folder of the DAG and its code; `make deploy` uploads them."
  value       = google_composer_environment.this.config[0].dag_gcs_prefix
}

output "buckets" {
  description = "The three buckets."
  value = {
    input   = google_storage_bucket.input.name
    staging = google_storage_bucket.staging.name
    output  = google_storage_bucket.output.name
  }
}

output "image" {
  description = "Name of the engine's image, without tag and digest."
  value       = local.image
}

output "environment_file" {
  description = "Content of deploy/environments/NAME.env: the target of `make deploy`, and the variables that it sets."
  value = join("\n", concat([
    "PROJECT=${var.airflow_project}",
    "LOCATION=${var.region}",
    "COMPOSER_ENVIRONMENT=${google_composer_environment.this.name}",
    "IMAGE_REPOSITORY=${local.image}",
    "IMAGE_VARIANT=cuda",
    "IDENTITY_PROVIDER=${try(google_iam_workload_identity_pool_provider.github[0].name, "none")}",
    "DEPLOYER=${try(google_service_account.deployer[0].email, "none")}",
    "UNPAUSE=${var.schedule == "none"}",
    "",
  ], [for name, value in local.variables : "${name}=${value}"], [""]))
}

output "accounts" {
  description = "Service accounts of the workers, the nodes and, with `github_repository_id`, the deployer."
  value = {
    airflow  = google_service_account.airflow.email
    nodes    = google_service_account.nodes.email
    deployer = one(google_service_account.deployer[*].email)
  }
}

output "pool_command" {
  description = "Command that creates the Airflow pool, for use when `make_pool` is off."
  value       = local.pool_command
}
