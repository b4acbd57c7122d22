"""Where blobs come from, and what is known of the other side."""
