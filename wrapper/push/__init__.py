"""What a push does: vet, upload, tag."""
