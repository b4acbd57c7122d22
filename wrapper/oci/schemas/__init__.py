"""JSON Schemas: of the documents that come in, and of the JSON that the command prints."""
