"""What pyproject.toml can't say: some modules are compiled, where there is a compiler."""

import os
from pathlib import Path

from setuptools import Extension, setup

# Paths and debug information would make two builds differ.
_FLAGS = ["-g0"]
_CORES = os.cpu_count() or 1


def _extensions() -> list[Extension]:
    if os.environ.get("SKOPEO_INCREMENTAL_PURE"):
        return []
    from Cython.Build import cythonize

    # What has types for Cython beside it.
    names = sorted(path.stem for path in Path("wrapper/delta").glob("*.pxd"))
    modules = [
        Extension(f"wrapper.delta.{name}", [f"wrapper/delta/{name}.py"], extra_compile_args=_FLAGS)
        for name in names
    ]
    extensions: list[Extension] = cythonize(
        modules, build_dir="build", compiler_directives={"language_level": 3}, nthreads=_CORES
    )
    for extension in extensions:
        # Without a compiler the package is installed all the same: the modules run as they are, slowly.
        extension.optional = True
    return extensions


setup(ext_modules=_extensions(), options={"build_ext": {"parallel": _CORES}})
