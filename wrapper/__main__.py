"""`python -m wrapper` is the command `skopeo-incremental`."""

import gc

# A process as short as this leaves no cycles worth looking for, and the search costs a tenth of a small pull.
gc.disable()

from .cli import main  # noqa: E402

if __name__ == "__main__":
    main()
