"""The build hook: puts field descriptions for `kubectl explain` and the store's migrations into the wheel."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).resolve().parent))


class BuildWithDescriptions(build_py):
    def run(self) -> None:
        super().run()
        from tools.descriptions import write

        write(Path("." if self.editable_mode else self.build_lib))
        if not self.editable_mode:
            shutil.copytree("migrations", Path(self.build_lib) / "minikube" / "_migrations", dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithDescriptions})
