# Copy to staging.tfvars, say, and change. `variables.tf` has the rest, each with a default.

project          = "my-project"
airflow_project  = "my-airflow"
region           = "us-central1"
model_repository = "https://git.example.com/team/model-registry.git"
model_revision   = "v3"
gpus             = 4

alert_email = "on-call@example.com"
# Once CLOUDSEG_SCHEDULE is @daily, not before: an alert tells when no run has succeeded for so many hours.
# hours_without_success = 26

# Not the name, which another user may claim one day: gh api repos/OWNER/NAME --jq .id
github_repository_id = "123456789"
github_environment   = "staging"
