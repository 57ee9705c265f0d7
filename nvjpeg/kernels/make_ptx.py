"""Makes resize.ptx of resize.cu, for every GPU that has a JPEG unit and every driver since CUDA 12.

    python3 scripts/in_venv.py nvjpeg/kernels/requirements.txt nvjpeg/kernels/make_ptx.py
"""

import ctypes
import hashlib
import sys
from ctypes import byref, c_char_p, c_size_t, c_void_p, create_string_buffer
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
OPTIONS = [b"--gpu-architecture=compute_80"]


def main() -> None:
    source = (FOLDER / "resize.cu").read_bytes()
    ptx = compiled(source)
    head = f"// Made of resize.cu by make_ptx.py. SHA-256 of resize.cu: {hashlib.sha256(source).hexdigest()}\n"
    (FOLDER / "resize.ptx").write_text(head + ptx)


def compiled(source: bytes) -> str:
    (library,) = Path(sys.prefix).glob("lib/python*/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12")
    nvrtc = ctypes.CDLL(str(library))
    program, size = c_void_p(), c_size_t()
    check("nvrtcCreateProgram", nvrtc.nvrtcCreateProgram(byref(program), source, b"resize.cu", 0, None, None))
    failed = nvrtc.nvrtcCompileProgram(program, len(OPTIONS), (c_char_p * len(OPTIONS))(*OPTIONS))
    if failed:
        nvrtc.nvrtcGetProgramLogSize(program, byref(size))
        log = create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        sys.exit(log.value.decode())
    check("nvrtcGetPTXSize", nvrtc.nvrtcGetPTXSize(program, byref(size)))
    text = create_string_buffer(size.value)
    check("nvrtcGetPTX", nvrtc.nvrtcGetPTX(program, text))
    return text.value.decode()


def check(function: str, status: int) -> None:
    if status:
        sys.exit(f"error: {function} returned {status}")


if __name__ == "__main__":
    main()
