"""`python -m wrapper` is the command `skopeo-incremental`."""

import gc
import os
import signal
import sys
from contextlib import suppress

# A process as short as this leaves no cycles worth looking for, and the search costs a tenth of a small pull.
gc.disable()

# Until the command takes over there is nothing to clean up, and nothing to say. What its caller ignores, such as
# SIGHUP under nohup, stays ignored.
for _number, _code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)):
    if signal.getsignal(_number) is not signal.SIG_IGN:
        signal.signal(_number, lambda *_, code=_code: os._exit(code))


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["--version"] and sys.stdout is not None:
        # Nothing else needs to be read for that.
        from .cli.version import line

        with suppress(OSError):
            sys.stdout.write(f"{line('skopeo-incremental')}\n")
            sys.stdout.flush()
            return
    from .cli.main import main as run

    run()


if __name__ == "__main__":
    main()
