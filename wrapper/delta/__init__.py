"""A layer as its change: bytes in, bytes out."""
