# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries that are preloaded into the server, and the file through which each is told what to do."""

import os
import pathlib
import shutil
import subprocess

from checker import harness

HERE = pathlib.Path(__file__).resolve().parent


class Shim:
    """`variable` names the file for the library; what is written to it is seen at once."""

    def __init__(self, source, variable, contents):
        self.folder = harness.make_folder()
        self.library, self.file, self.variable = self.folder / "shim.so", self.folder / "file", variable
        self.file.write_bytes(contents)
        harness.own(self.file)
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o",
                        str(self.library), str(source)], check=True)

    def write(self, contents, at=0):
        """In place: the processes have the file mapped."""
        with open(self.file, "r+b", buffering=0) as f:
            f.seek(at)
            f.write(contents)

    def read(self):
        return self.file.read_bytes()

    def server(self, **kw):
        os.environ[self.variable] = str(self.file)
        return harness.Server(preload=self.library, **kw)

    def close(self):
        os.environ.pop(self.variable, None)
        shutil.rmtree(self.folder, ignore_errors=True)
