terraform {
  required_version = ">= 1.10"

  backend "s3" {
    bucket       = "acme-terraform-state"
    key          = "staging/terraform.tfstate"
    use_lockfile = true
  }
}

# In the place of your infrastructure: it needs no provider and no account.
resource "terraform_data" "application" {
  input = "1"
}
