"""`python -m skopeo_incremental` is the command `skopeo-incremental`."""

from wrapper.__main__ import main

if __name__ == "__main__":
    main()
