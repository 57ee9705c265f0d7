"""Asks the real binary for all that openapi.yaml allows, and for what it forbids.

    make test-api
"""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

import openapi_spec_validator
import yaml
from openapi_spec_validator.readers import read_from_filename
from service import BINARY, FOLDER, ROOT, Service

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
        self.addCleanup(service.kill)
        self.ask(service.url)

    def test_without_a_key_nothing_that_asks_for_one_is_answered(self) -> None:
        """In the document keys are as optional as they are for the service; here they are not."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        made = subprocess.run([BINARY, "key", "new", "alice"], capture_output=True, text=True, check=True)
        (FOLDER / "keys").write_text(made.stdout)
        document = yaml.safe_load(DOCUMENT.read_text())
        for item in document["paths"].values():
            for operation in item.values():
                if "security" in operation:
                    operation["security"] = [entry for entry in operation["security"] if entry]
        closed = FOLDER / "closed.json"
        closed.write_text(json.dumps(document))
        service = Service("--api-keys-file", FOLDER / "keys")
        self.addCleanup(service.kill)
        key = made.stderr.split()[-1]
        self.ask(service.url, "--header", f"Authorization: Bearer {key}", document=closed)

    def ask(self, url: str, *options: str, document: Path = DOCUMENT) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        command = [
            "schemathesis", "--config-file", SETTINGS, "run", document, "--url", url, "--checks", "all",
            "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED, *options,
        ]
        # It leaves what it has learned in the folder where it runs.
        done = subprocess.run(command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(done.stdout[done.stdout.rfind("= SUMMARY ="):])
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(verbosity=2)
