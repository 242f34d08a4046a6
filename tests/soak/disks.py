# SPDX-License-Identifier: GPL-3.0-or-later
"""Small filesystems of our own, in a mount namespace of our own: nobody else sees them, and they go with this process."""

import ctypes
import os
import pathlib
import shutil
import subprocess
import tempfile

from checker import harness

CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x00020000, 0x4000, 1 << 18, 2
MEGABYTES = {"xfs": 320, "ext4": 64}  # mkfs.xfs makes none below 300

_libc = ctypes.CDLL(None, use_errno=True)


class Missing(RuntimeError):
    """This machine cannot do it: no root, no loop devices, no mkfs."""


def checked(result, what):
    if result:
        number = ctypes.get_errno()
        raise Missing(f"{what}: {os.strerror(number)}; these loops need root and, for images, loop devices")


def own_mounts():
    if not harness.IS_ROOT:
        raise Missing("mounting needs root")
    checked(_libc.unshare(CLONE_NEWNS), "a mount namespace")
    checked(_libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")


class Disk:
    """A filesystem in an image behind a loop device, or a tmpfs. `folder` is the server's."""

    def __init__(self, kind, megabytes=None, options=None):
        own_mounts()
        self.kind = kind
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="acme-delegate-disk-"))
        self.base.chmod(0o755)
        self.folder, self.image = self.base / "mount", self.base / "image"
        self.folder.mkdir()
        self.mounted, self.options = False, ",".join(["loop", *([options] if options else [])])
        self.megabytes = megabytes or MEGABYTES.get(kind, 4)
        try:
            if kind != "tmpfs":
                with open(self.image, "wb") as f:
                    f.truncate(self.megabytes << 20)
                self._run(f"mkfs.{kind}", "-q", self.image)
            self.mount()
        except BaseException:
            shutil.rmtree(self.base, ignore_errors=True)
            raise

    @staticmethod
    def _run(*command):
        try:
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            raise Missing(f"there is no {command[0]}: scripts/install-deps test") from None
        if done.returncode:
            raise Missing(f"{command[0]}: {done.stderr.strip()}")

    def mount(self):
        if self.kind == "tmpfs":
            checked(_libc.mount(b"tmpfs", str(self.folder).encode(), b"tmpfs", 0,
                                f"size={self.megabytes}m,mode=755".encode()), "tmpfs")
        else:
            self._run("mount", "-o", self.options, self.image, self.folder)
        self.mounted = True
        harness.own(self.folder)

    def unmount(self):
        """Waits until nobody holds a file there: what ended may still be on its way out."""
        harness.poll(lambda: not _libc.umount2(str(self.folder).encode(), 0), 10, f"{self.kind} unmounted")
        self.mounted = False

    def remount(self):
        self.unmount()
        self.mount()

    def fail(self):
        """Tells ext4 that it has met damage."""
        device = pathlib.Path(subprocess.run(["findmnt", "-no", "SOURCE", str(self.folder)], capture_output=True, text=True,
                                             check=True).stdout.strip()).name
        pathlib.Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("for a test\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.mounted:
            _libc.umount2(str(self.folder).encode(), MNT_DETACH)
        shutil.rmtree(self.base, ignore_errors=True)
