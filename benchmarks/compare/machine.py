"""On what it was measured, in a sentence."""

import os
import platform
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
CPUINFO = Path("/proc/cpuinfo")
# By Linux's names on x86 and on arm64: each multiplies vectors of 8-bit numbers and adds up the products in 32 bits.
INT8_INSTRUCTIONS = ("avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")


def machine() -> str:
    wrk = " ".join(subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split()[:2])
    return f"{computer()}; load by {wrk}; ONNX Runtime {onnxruntime_version()} everywhere"


def computer() -> str:
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{cores} cores of {processor()} with {memory:.0f} GiB, {platform.system()} {platform.release()}, Python "
            f"{platform.python_version()}")


def processor() -> str:
    lines = CPUINFO.read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def int8_instructions() -> str:
    lines = CPUINFO.read_text().splitlines()
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return ", ".join(name for name in INT8_INSTRUCTIONS if name in flags) or f"none of {', '.join(INT8_INSTRUCTIONS)}"


def onnxruntime_version() -> str:
    lines = (HERE / "requirements.txt").read_text().splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith("onnxruntime=="))
