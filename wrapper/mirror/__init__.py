"""Files that make clusters and hosts pull from the registry that a bundle was pushed to, a module for each kind."""
