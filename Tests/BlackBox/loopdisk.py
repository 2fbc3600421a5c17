"""A small ext4 of its own on a loop device, whose power can be cut and whose space can run out. Needs root."""
import fcntl
import os
import pathlib
import struct
import subprocess
import tempfile

import pytest

# EXT4_IOC_SHUTDOWN, and its flag that leaves the file system's own journal unwritten as well.
SHUTDOWN, WITHOUT_LOG_FLUSH = 0x8004587D, 2


def run(*arguments):
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    if done.returncode != 0:
        raise OSError(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


class LoopDisk:
    """A file system in a file."""

    def __init__(self, megabytes):
        if os.geteuid() != 0:
            pytest.skip("a file system can only be mounted by root")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="decisiond-disk-"))
        self.image, self.path = self.directory / "image", self.directory / "mounted"
        self.path.mkdir()
        with open(self.image, "wb") as file:
            file.truncate(megabytes << 20)
        self.device = None
        try:
            run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self.image))
            self.device = run("losetup", "--find", "--show", str(self.image))
            self.mount()
        except OSError as error:
            self.remove()
            pytest.skip(f"loop devices do not work here: {error}")

    def mount(self):
        """Mounts it; after a power loss that replays the file system's own journal."""
        run("mount", "-t", "ext4", self.device, str(self.path))

    def cut_power(self):
        """From now on nothing reaches the disk, neither what is cached nor what is written; every call fails."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", WITHOUT_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self):
        run("umount", str(self.path))

    def fill(self):
        """Takes all the space that is left, and gives back what took it."""
        filler = self.path / "filler"
        with open(filler, "wb") as file:
            step = 4 << 20
            while step >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, step)
                except OSError:
                    step //= 4
        return filler

    def remove(self):
        for command in (["umount", "-l", str(self.path)], ["losetup", "-d", self.device or ""]):
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.image.unlink(missing_ok=True)
        for directory in (self.path, self.directory):
            if directory.exists():
                directory.rmdir()
