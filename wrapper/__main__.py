"""`python -m wrapper` is the command `skopeo-incremental`."""

import gc

# Collecting garbage while modules are imported costs a tenth of the start and finds none.
gc.set_threshold(100_000, 20, 50)

from .cli import main  # noqa: E402

if __name__ == "__main__":
    main()
