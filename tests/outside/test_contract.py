"""Asks the real binary for all that openapi.yaml allows, and for what it forbids.

    make test-api
"""

import os
import subprocess
import sys
import unittest
from pathlib import Path

import openapi_spec_validator
from openapi_spec_validator.readers import read_from_filename
from service import FOLDER, ROOT, Service

DOCUMENT = ROOT / "openapi.yaml"
SETTINGS = Path(__file__).with_name("schemathesis.toml")
# More find more: the defaults take a minute.
EXAMPLES = os.environ.get("EXAMPLES", "40")
SEED = os.environ.get("SEED", "1")


class Contract(unittest.TestCase):
    def test_the_document_is_valid(self) -> None:
        document, _ = read_from_filename(str(DOCUMENT))
        openapi_spec_validator.validate(document)

    def test_the_service_does_what_the_document_says_and_refuses_what_it_does_not(self) -> None:
        service = Service()
        self.addCleanup(service.stop)
        self.ask(service.url)

    def ask(self, url: str, *options: str) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        command = [
            "schemathesis", "--config-file", SETTINGS, "run", DOCUMENT, "--url", url, "--checks", "all",
            "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED, "--workers", "2",
            # No schema says how a tensor's data and shape go together; tests/clients and tests/api/v2 do.
            "--exclude-path-regex", "/infer$", *options,
        ]
        # It leaves what it has learned in the folder where it runs.
        done = subprocess.run(command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(done.stdout[done.stdout.rfind("= SUMMARY ="):])
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(verbosity=2)
