"""All that runs skopeo, or reads its words."""
