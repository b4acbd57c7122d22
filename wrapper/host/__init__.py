"""This machine: files, temporary folders, space, signals, text for people."""
