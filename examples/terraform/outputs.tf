output "store" {
  description = "For --store, or [global] store in config.toml."
  value       = "gs://${google_storage_bucket.lake.name}/trips"
}

output "warehouse" {
  description = "For --warehouse, or [global] warehouse in config.toml."
  value       = "bigquery://${var.project}/${google_bigquery_dataset.taxi.dataset_id}"
}

output "service_account" {
  description = "For gcloud auth application-default login --impersonate-service-account."
  value       = google_service_account.ingest.email
}

output "workload_identity_provider" {
  description = "For google-github-actions/auth, if github_repository is given."
  value       = one(google_iam_workload_identity_pool_provider.github[*].name)
}
