"""The documents of OCI and Docker, as values."""
