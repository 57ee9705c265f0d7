#!/usr/bin/env python3
"""Builds a fuzz target on a stable toolchain and runs it from its seeds; no cargo-fuzz is needed."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import fuzz_seeds

ROOT = Path(__file__).resolve().parent.parent
FUZZ = ROOT / "fuzz"
TARGETS = ["upload", "decode", "model_toml", "safetensors", "onnx", "v2_binary"]
# What `cargo fuzz build -s none` passes: counters of edges and comparisons, which libFuzzer reads.
RUSTFLAGS = " ".join([
    "--cfg fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
])


def main() -> None:
    arguments = parse_arguments()
    folders = [FUZZ / "corpus" / arguments.target, FUZZ / "artifacts" / arguments.target]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    count = fuzz_seeds.write(arguments.target, folders[0])
    print(f"{count} seeds are in {folders[0].relative_to(ROOT)}", flush=True)
    if arguments.only_seeds:
        return
    program = build(arguments.target)
    limits = [f"-runs={arguments.runs}", f"-max_len={fuzz_seeds.LARGEST}", "-timeout=10", "-rss_limit_mb=1024",
              f"-artifact_prefix={folders[1]}/", "-print_final_stats=1"]
    status = subprocess.run([program, *limits, *arguments.libfuzzer, folders[0]], cwd=ROOT).returncode
    if status != 0:
        sys.exit(f"error: a finding; its input is in {folders[1].relative_to(ROOT)}")


def parse_arguments() -> argparse.Namespace:
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, epilog="What follows -- is for libFuzzer.")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions (default: %(default)s)")
    parser.add_argument("--only-seeds", action="store_true", help="write the seeds, for cargo-fuzz to find them")
    return parser.parse_args(words[:end], argparse.Namespace(libfuzzer=words[end + 1:]))


def build(target: str) -> Path:
    """Returns the program. With `--target`, build scripts and macros are not instrumented."""
    triple = host()
    command = ["cargo", "build", "--release", "--manifest-path", FUZZ / "Cargo.toml",
               "--target-dir", FUZZ / "target", "--target", triple, "--bin", target]
    flags = f"{RUSTFLAGS} {os.environ.get('RUSTFLAGS', '')}".strip()
    if subprocess.run(command, env={**os.environ, "RUSTFLAGS": flags}).returncode != 0:
        sys.exit("error: the target could not be built; cargo's message stands above")
    return FUZZ / "target" / triple / "release" / target


def host() -> str:
    version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    return re.search(r"^host: (.+)$", version, re.MULTILINE).group(1)


if __name__ == "__main__":
    main()
