"""What pyproject.toml can't say: some modules are compiled, where there is a compiler."""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Paths and debug information would make two builds differ.
_FLAGS = ["-g0"]
_CORES = os.cpu_count() or 1


def _extensions() -> list[Extension]:
    """Return the modules that have types for Cython beside them."""
    if os.environ.get("SKOPEO_INCREMENTAL_PURE"):
        return []
    return [
        Extension(
            f"wrapper.delta.{path.stem}",
            [f"wrapper/delta/{path.stem}.py"],
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
    options={"build_ext": {"parallel": _CORES}},
)
