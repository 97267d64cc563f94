"""JAX's persistent compilation cache with atomic writes, checksums and a size limit.

JAX does not check its own cache files: a file truncated by a full disk stays forever, and corrupt machine code is run.
"""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path

import jax
import jaxlib
from jax._src import compilation_cache
from jax._src.compilation_cache_interface import CacheInterface

from baichuan_jax.core.files import atomic_path, digest
from baichuan_jax.parallel.config import CompilationCacheConfig

DIGEST = hashlib.sha256
DIGEST_BYTES = DIGEST().digest_size
LEAST_SECONDS = 0.05  # minimum compile time of a cached program: reading one takes a few milliseconds
OF_X86 = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")
OF_ARM = ("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features")


def keep_programs(cfg: CompilationCacheConfig) -> None:
    """Cache the programs that this process compiles from now on, unless JAX's cache is configured or disabled."""
    if cfg.max_bytes == 0 or jax.config.jax_compilation_cache_dir or not jax.config.jax_enable_compilation_cache:
        return
    root = cache_root(cfg)
    compilation_cache.get_file_cache = lambda path: (ProgramCache(Path(path), root, cfg.max_bytes), path)
    jax.config.update("jax_compilation_cache_dir", str(root / machine()))
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")  # XLA's own files, which are not checked
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)


def cache_root(cfg: CompilationCacheConfig) -> Path:
    """Return the directory that `max_bytes` limits."""
    if cfg.directory:
        return Path(cfg.directory).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "baichuan_jax" / "programs"


def machine() -> str:
    """Return a name shared by machines with the same processor and jaxlib, which can share programs.

    A program for a CPU uses the instruction set of the CPU that compiled it, which JAX's key does not contain.
    """
    return f"jaxlib-{jaxlib.__version__}-{platform.machine()}-{digest(_processor())}"


def _processor() -> str:
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:  # not Linux
        return repr(platform.uname())
    lines = (line.partition(":") for line in first.splitlines())
    return repr([(name.strip(), value) for name, _, value in lines if name.strip() in OF_X86 + OF_ARM])


class ProgramCache(CacheInterface):
    """One file per program: a digest, then the content. Beyond the limit the least recently used are deleted.

    Several processes may use it at once. It never raises: a program that cannot be read or stored is compiled.
    """

    def __init__(self, directory: Path, root: Path, max_bytes: int):
        """root: the directory that `max_bytes` limits. directory: of this machine, in `root`."""
        self._path, self._root, self._max_bytes = directory, root, max_bytes

    def get(self, key: str) -> bytes | None:
        """Return the program of a key; None if it is missing or damaged."""
        file = self._path / key
        try:
            content = file.read_bytes()
            if DIGEST(content[DIGEST_BYTES:]).digest() == content[:DIGEST_BYTES]:
                os.utime(file)
                return content[DIGEST_BYTES:]
            file.unlink()
        except OSError:
            pass
        return None

    def put(self, key: str, value: bytes) -> None:
        """Store a program, if the disk has room."""
        with suppress(OSError):
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)  # others could have this process run their code
            with atomic_path(self._path / key) as partial:
                partial.write_bytes(DIGEST(value).digest() + value)
        with suppress(OSError):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        files = [(file, file.stat()) for file in self._root.rglob("*") if file.is_file()]
        files.sort(key=lambda pair: pair[1].st_mtime_ns)
        excess = sum(stat.st_size for _, stat in files) - self._max_bytes
        for file, stat in files:
            if excess <= 0:
                return
            file.unlink(missing_ok=True)
            excess -= stat.st_size
