variable "project" {
  description = "The project that holds the data and pays."
  type        = string
}

variable "region" {
  description = "Where bucket and dataset are: a region such as europe-west4, or the multi-region EU or US."
  type        = string
  default     = "EU"
}

variable "bucket" {
  description = "The name of the bucket, which nobody else in the world may have; by default PROJECT-taxi-lake."
  type        = string
  default     = null
}

variable "dataset" {
  description = "The name of the dataset in BigQuery."
  type        = string
  default     = "taxi"

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.dataset))
    error_message = "A dataset's name has letters, digits and _ only."
  }
}

variable "people" {
  description = "Who may act as the service account, such as user:jane@example.com."
  type        = list(string)
  default     = []
}

variable "github_repository" {
  description = "OWNER/NAME of the repository whose workflows may act as the service account; empty for none."
  type        = string
  default     = ""
}

variable "workload_identity_pool" {
  description = "The name of the pool for GitHub's tokens. Google keeps the name of one that was destroyed for 30 days."
  type        = string
  default     = "github"
}

variable "keep_data" {
  description = "Whether terraform destroy must refuse a bucket or dataset that still holds anything."
  type        = bool
  default     = true
}
