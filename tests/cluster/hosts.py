"""Hosts out of one machine, for `ray up`: each with its own address, processes, /tmp, /dev/shm, home folder and sshd.

A host is a set of Linux namespaces (network, PID, mount, UTS) around an sshd. The hosts hang on one bridge with this machine
and share one folder, mounted at the place of the cluster's shared storage; the rest of the file system is the machine's.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.variants import MOUNT

SSHD = "/usr/sbin/sshd"
PREFIX = 24


@dataclass
class Host:
    """One host; `process` is the `unshare` that waits for `init`, the first process of its PID namespace."""

    name: str
    address: str
    home: Path
    process: subprocess.Popen[bytes]
    init: int

    def kill(self) -> None:
        """SIGKILL every process of this host at once, as a machine that loses power; its address stops answering."""
        if self.process.poll() is None:
            os.kill(self.init, signal.SIGKILL)  # with it the kernel kills all that is left in its PID namespace
            self.process.wait()
        subprocess.run(["ip", "link", "del", f"v{self.name}"], check=False, capture_output=True)


def reason_not_to() -> str | None:
    """Why hosts cannot be made here, None where they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "making hosts needs Linux and root"
    missing = [tool for tool in ("ip", "unshare", "ssh", "ssh-keygen", "rsync", SSHD) if shutil.which(tool) is None]
    if missing:
        return f"making hosts needs {', '.join(missing)} (Debian: openssh-server, openssh-client, rsync, iproute2)"
    probes = (
        ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--uts", "true"],
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        ["unshare", "--net", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"],
        ["unshare", "--net", "ip", "link", "add", "b0", "type", "bridge"],
    )
    for probe in probes:
        done = subprocess.run(probe, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"the kernel refuses `{' '.join(probe)}`: {done.stderr.strip()}"
    return None


@contextlib.contextmanager
def hosts(count: int, folder: Path, subnet: str = "10.213.77") -> Iterator[list[Host]]:
    """`count` hosts that are reached by ssh as root with the key `folder/key`; `folder/shared` is their shared storage.

    At the end every process on them and every device is gone, whatever happened.
    """
    tag = f"{os.getpid() % 100000}"  # device names have at most 15 characters
    bridge = f"ab{tag}"
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "shared").mkdir()
    Path("/run/sshd").mkdir(exist_ok=True)  # sshd asks for it
    made: list[Host] = []
    try:
        _run("ip", "link", "add", bridge, "type", "bridge")
        _run("ip", "addr", "add", f"{subnet}.1/{PREFIX}", "dev", bridge)
        _run("ip", "link", "set", bridge, "up")
        for number in range(count):
            made.append(_start(f"{tag}{chr(ord('a') + number)}", f"{subnet}.{10 + number}", bridge, f"{subnet}.1", folder))
        for host in made:
            _wait_for_ssh(host, folder / "key")
        yield made
    finally:
        for host in made:
            host.kill()
        subprocess.run(["ip", "link", "del", bridge], check=False, capture_output=True)


def _start(name: str, address: str, bridge: str, gateway: str, folder: Path) -> Host:
    home = folder / f"home-{name}"
    home.mkdir()
    _make_environment(home / ".ailot-venv")
    config = folder / f"sshd-{name}.conf"
    config.write_text(
        textwrap.dedent(f"""\
            ListenAddress {address}
            HostKey {folder / "host_key"}
            AuthorizedKeysFile {folder / "key.pub"}
            StrictModes no
            UsePAM no
            PermitRootLogin yes
            PidFile none
            MaxStartups 50
            """)
    )
    own = Path(pwd.getpwuid(0).pw_dir)  # ssh looks there, whatever HOME says
    python = [Path(prefix) for prefix in (sys.base_prefix, sys.prefix) if Path(prefix).is_relative_to(own)]
    kept = [f"mkdir -p {home / path.relative_to(own)}; mount --bind {path} {home / path.relative_to(own)}" for path in python]
    inside = f"""
        set -e
        hostname {name}
        ip link set lo up
        read -r _ # until the device is here
        ip addr add {address}/{PREFIX} dev eth0
        ip link set eth0 up
        ip route add default via {gateway} # leads nowhere, but Ray takes its own address from it
        mkdir -p {MOUNT}
        mount --bind {folder / "shared"} {MOUNT}
        {"; ".join(kept) or "true"}
        mount --rbind {home} {own}
        mount --bind {sys.prefix} {sys.prefix} && mount -o remount,bind,ro {sys.prefix}
        mount -t tmpfs -o size=2g tmpfs /dev/shm
        mkdir -p {home}/tmp{folder} # a /tmp of its own, in which `folder` is where it was
        mount --bind {folder} {home}/tmp{folder}
        mount --rbind {home}/tmp{"/tmp" if folder.is_relative_to("/tmp") else ""} /tmp
        exec {SSHD} -D -e -f {config}
    """
    mounts = ["--mount", "--propagation", "private", "--mount-proc"]
    process = subprocess.Popen(
        ["unshare", "--net", "--uts", "--pid", "--fork", "--kill-child=KILL", *mounts, "bash", "-c", inside],
        stdin=subprocess.PIPE,
        stdout=(folder / f"sshd-{name}.log").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    host = Host(name, address, home, process, _child_of(process.pid))
    try:
        _run("ip", "link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", str(host.init))
        _run("ip", "link", "set", f"v{name}", "master", bridge, "up")
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
    except BaseException:
        host.kill()
        raise
    return host


def _make_environment(folder: Path) -> None:
    """A virtual environment that sees what is installed in this one: the cluster's set-up then finds its pins installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (site / "installed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    ray = folder / "bin" / "ray"
    ray.write_text(f"#!{folder}/bin/python\nimport sys\nfrom ray.scripts.scripts import main\nsys.exit(main())\n")
    ray.chmod(0o755)
    (folder / "pip.conf").write_text(
        "[install]\nno-build-isolation = false\nno-index = true\n"
    )  # false switches it off: pip's way


def _child_of(pid: int) -> int:
    """The only child of `unshare --fork`, which is in the new namespaces."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise TimeoutError("unshare started nothing")


def _wait_for_ssh(host: Host, key: Path) -> None:
    options = ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={os.devnull}", "-o", "ConnectTimeout=2"]
    deadline = time.monotonic() + 20
    while True:
        done = subprocess.run(
            ["ssh", "-i", str(key), *options, f"root@{host.address}", "true"], capture_output=True, check=False
        )
        if done.returncode == 0:
            return
        if time.monotonic() > deadline or host.process.poll() is not None:
            raise RuntimeError(f"no ssh on host {host.name}: {done.stderr.decode()}")
        time.sleep(0.2)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def processes_of(host: Host) -> list[int]:
    """PIDs, as this machine sees them, of everything that runs on a host."""
    found = []
    namespace = Path(f"/proc/{host.init}/ns/pid").readlink()
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and (folder / "ns" / "pid").readlink() == namespace:
                found.append(int(folder.name))
    return found
