"""`python -m wrapper` is the command `skopeo-incremental`."""

from .cli import main

main()
