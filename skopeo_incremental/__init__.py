"""`wrapper` under the name of the project: `from skopeo_incremental import Incremental`.

Every name is the same object in both. What is not public is in `wrapper` alone.
"""

import wrapper
from wrapper import __version__ as __version__

__all__ = wrapper.__all__


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(wrapper, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return dir(wrapper)
