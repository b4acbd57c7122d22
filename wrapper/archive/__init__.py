"""Our archive as a file."""
