"""What must stay cheap to import does: found out in fresh interpreters."""

import subprocess
import sys

import pytest

HEAVY = {
    "torch", "torchvision", "librosa", "numba", "llvmlite", "matplotlib", "PIL", "scipy", "sklearn", "pandas",
    "numpy", "soundfile", "soxr", "zennit", "crp", "captum", "fluidsynth", "safetensors", "music21",
    "hypothesis",
}  # fmt: skip

CHEAP = ["service.run", "service.app", "service.openapi", "worker.run", "worker.celery_app", "worker.tasks"]


@pytest.mark.parametrize("module", CHEAP)
def test_it_imports_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    imported = set(found.stdout.split())
    assert "redis" in imported
    assert imported & HEAVY == set()
