# A bucket, a dataset beside it, and a service account that may use just these two.
#
#   terraform init
#   terraform apply -var project=my-project -var region=europe-west4
#
# Outputs are the values of --store and --warehouse. `terraform destroy` takes everything away again. It refuses a bucket
# or dataset that holds anything, unless the last `terraform apply` was given -var keep_data=false: what is destroyed is
# looked up in the state, not in the variables.

terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

resource "google_project_service" "needed" {
  for_each = toset([
    "bigquery.googleapis.com",
    "cloudresourcemanager.googleapis.com", # the project's roles
    "iam.googleapis.com",                  # the service account
    "iamcredentials.googleapis.com",       # acting as it
    "storage.googleapis.com",
    "sts.googleapis.com", # GitHub's tokens
  ])
  service            = each.key
  disable_on_destroy = false
}

resource "google_storage_bucket" "lake" {
  name                        = coalesce(var.bucket, "${var.project}-taxi-lake")
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.keep_data

  # an object is replaced whole; what it was before can be had back for a week
  soft_delete_policy {
    retention_duration_seconds = 604800
  }

  depends_on = [google_project_service.needed]
}

# In the bucket's own region, so that loads are free of transfer. No default expiration: months must stay.
resource "google_bigquery_dataset" "taxi" {
  dataset_id                 = var.dataset
  location                   = var.region
  description                = "New York's taxi trips, loaded by taxi-ingest"
  delete_contents_on_destroy = !var.keep_data

  depends_on = [google_project_service.needed]
}

resource "google_service_account" "ingest" {
  account_id   = "taxi-ingest"
  display_name = "taxi-ingest"

  depends_on = [google_project_service.needed]
}

locals {
  ingest = "serviceAccount:${google_service_account.ingest.email}"
}

# List, read, write and replace objects.
resource "google_storage_bucket_iam_member" "objects" {
  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.objectUser"
  member = local.ingest
}

# See where the bucket is, so that it is compared with the dataset before a run.
resource "google_storage_bucket_iam_member" "location" {
  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.bucketViewer"
  member = local.ingest
}

# Create and replace tables in this dataset, and in no other.
resource "google_bigquery_dataset_iam_member" "tables" {
  dataset_id = google_bigquery_dataset.taxi.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = local.ingest
}

# Run jobs, which the project pays for.
resource "google_project_iam_member" "jobs" {
  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = local.ingest
}

# People who may act as the service account: gcloud auth application-default login --impersonate-service-account=…
resource "google_service_account_iam_member" "people" {
  for_each           = toset(var.people)
  service_account_id = google_service_account.ingest.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.key
}
