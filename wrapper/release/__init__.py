"""From what people have, such as manifests and charts, to the spec of a bundle."""
