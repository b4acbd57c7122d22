"""What pyproject.toml can't say: some modules are compiled, where there is a compiler.

SKOPEO_INCREMENTAL_PURE=1 compiles none: the wheel runs everywhere, slowly. SKOPEO_INCREMENTAL_ABI3=1 makes a wheel
for Python 3.11 and all that come after it. Calls between Python and what is compiled cost more with that: making
changes of layers takes up to a third longer, and applying them up to a half, than with a wheel for one Python.
"""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Paths and debug information would make two builds differ.
_FLAGS = ["-g0"]
_CORES = os.cpu_count() or 1
_ABI3 = bool(os.environ.get("SKOPEO_INCREMENTAL_ABI3"))


def _extensions() -> list[Extension]:
    """Return the modules that have types for Cython beside them."""
    if os.environ.get("SKOPEO_INCREMENTAL_PURE"):
        return []
    return [
        Extension(
            f"wrapper.delta.{path.stem}",
            [f"wrapper/delta/{path.stem}.py"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if _ABI3 else [],
            py_limited_api=_ABI3,
            extra_compile_args=_FLAGS,
            # Without a compiler the package is installed all the same: the modules run as they are, slowly.
            optional=True,
        )
        for path in sorted(Path("wrapper/delta").glob("*.pxd"))
    ]


class _BuildExtensions(build_ext):
    """Translates as late as it can: what only asks for metadata, or makes an sdist, needs no C."""

    def run(self) -> None:
        from Cython.Build import cythonize

        translated = cythonize(
            [Extension(extension.name, extension.sources) for extension in self.extensions],
            build_dir="build",
            compiler_directives={"language_level": 3},
            nthreads=_CORES,
        )
        sources = {extension.name: extension.sources for extension in translated}
        for extension in self.extensions:
            extension.sources = sources[extension.name]
        super().run()


setup(
    cmdclass={"build_ext": _BuildExtensions},
    ext_modules=_extensions(),
    options={
        "build_ext": {"parallel": _CORES},
        # In a folder of its own: whatever is in the folder goes into the wheel.
        **({"bdist_wheel": {"py_limited_api": "cp311"}, "build": {"build_base": "build/abi3"}} if _ABI3 else {}),
    },
)
