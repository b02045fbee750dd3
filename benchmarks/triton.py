"""A real Triton from PyPI's nvidia-pytriton wheel: where its parts lie in an environment, and how it is started."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REQUIREMENT = "nvidia-pytriton==0.7.0"  # holds Triton 2.51

_FACTS = """
import json, sys, sysconfig
print(json.dumps({
    "site": sysconfig.get_path("purelib"),
    "libdir": sysconfig.get_config_var("LIBDIR"),
    "version": "%d.%d" % sys.version_info[:2],
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TritonInstallation:
    binary: Path
    backends: Path
    caches: Path
    environment: dict[str, str]

    def command(self, *, repository: Path, http_port: int, grpc_port: int, options: Sequence[str]) -> list[str]:
        return [
            str(self.binary),
            f"--model-repository={repository}",
            f"--backend-directory={self.backends}",
            f"--cache-directory={self.caches}",
            "--http-address=127.0.0.1",
            f"--http-port={http_port}",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={grpc_port}",
            "--allow-metrics=false",
            *options,
        ]


def create(venv: Path) -> None:
    """Makes the environment. The wheel has stubs for CPython 3.8 to 3.13."""
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(venv / "bin" / "pip"), "install", "--quiet", REQUIREMENT, "numpy<2"], check=True)


def locate(venv: Path, scratch: Path) -> TritonInstallation:
    """Triton wants the stub executable beside the backend's library; the wheel has it elsewhere: hence the scratch."""
    python = venv / "bin" / "python"
    facts = json.loads(subprocess.run([str(python), "-c", _FACTS], check=True, capture_output=True).stdout)
    site = Path(facts["site"])
    server = site / "pytriton" / "tritonserver"
    backends = scratch / "backends"
    shutil.copytree(server / "backends", backends, dirs_exist_ok=True)
    stub = server / "python_backend_stubs" / facts["version"] / "triton_python_backend_stub"
    shutil.copy(stub, backends / "python")
    libraries = [site / "nvidia_pytriton.libs", server / "external_libs", Path(facts["libdir"])]
    return TritonInstallation(
        binary=server / "bin" / "tritonserver",
        backends=backends,
        caches=server / "caches",
        environment={
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
            "PATH": f"{venv / 'bin'}:/usr/bin:/bin",
            "PYTHONPATH": str(site),
        },
    )
