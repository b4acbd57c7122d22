"""What pyproject.toml can't say: one module is compiled, where there is a compiler."""

import os

from setuptools import Extension, setup

# Paths and debug information would make two builds differ.
_FLAGS = ["-g0", "-O2"]


def _extensions() -> list[Extension]:
    if os.environ.get("SKOPEO_INCREMENTAL_PURE"):
        return []
    from Cython.Build import cythonize

    module = Extension("wrapper.delta.deflate", ["wrapper/delta/deflate.py"], extra_compile_args=_FLAGS)
    extensions: list[Extension] = cythonize([module], build_dir="build", compiler_directives={"language_level": 3})
    for extension in extensions:
        # Without a compiler the package is installed all the same: deflate.py runs as it is, slowly.
        extension.optional = True
    return extensions


setup(ext_modules=_extensions())
