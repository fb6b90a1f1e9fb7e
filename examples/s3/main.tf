terraform {
  required_version = ">= 1.10"

  backend "s3" {
    bucket       = "acme-terraform-state"
    key          = "infrastructure/terraform.tfstate"
    use_lockfile = true
  }
}

# In the place of your infrastructure: it needs no provider and no account.
resource "terraform_data" "release" {
  input = "1"
}
