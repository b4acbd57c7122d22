# Type checkers read this: in a stub, what is imported with a star is exported.
from wrapper import *  # noqa: F403
from wrapper import __version__ as __version__
