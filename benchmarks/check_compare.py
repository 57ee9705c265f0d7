"""What can be checked of the comparison without running it."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from email.parser import BytesParser
from pathlib import Path
from types import SimpleNamespace
from unittest import mock
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scripts")]

from compare import callgrind, groups, instructions, int8, machine, plot, profile, report, tensors  # noqa: E402
from compare.bench import apart  # noqa: E402
from compare.cases import CASES  # noqa: E402
from compare.sections import SECTIONS  # noqa: E402
from compare.targets import TARGETS, front_end, telemetry  # noqa: E402
from compare.telemetry import OFF, ON, WITHOUT_TRACES  # noqa: E402
from compare.trials import by_turns, median, spread  # noqa: E402
from overload import container  # noqa: E402
from overload import plot as plot_of_goodput  # noqa: E402
from overload import report as overload_report  # noqa: E402
from peers import peers, servers  # noqa: E402

PICTURE = b"\xff\xd8\r\n--not-a-boundary\xff"


class Bodies(unittest.TestCase):
    def test_a_form_has_the_picture_in_its_field(self) -> None:
        body = peers.form("file")(PICTURE)
        message = BytesParser().parsebytes("\r\n".join(body.headers).encode() + b"\r\n\r\n" + body.data)
        (part,) = message.get_payload()
        self.assertEqual(part.get_param("name", header="content-disposition"), "file")
        self.assertEqual(part.get_payload(decode=True), PICTURE)

    def test_json_has_the_picture_in_base64(self) -> None:
        (given,) = json.loads(peers.in_json(PICTURE).data)["inputs"]
        self.assertEqual(base64.b64decode(given["data"][0]), PICTURE)

    def test_a_binary_body_has_a_head_of_the_length_that_its_header_says(self) -> None:
        body = peers.binary(PICTURE)
        self.assertIn(f"Inference-Header-Content-Length: {peers.HEAD}", body.headers)
        (given,) = json.loads(body.data[: peers.HEAD])["inputs"]
        rest = body.data[peers.HEAD :]
        self.assertEqual(given["parameters"]["binary_data_size"], len(rest))
        self.assertEqual(rest, len(PICTURE).to_bytes(4, "little") + PICTURE)

    def test_a_tensor_is_the_same_in_both_forms(self) -> None:
        in_json = json.loads(tensors.body(tensors.JSON, {}).data)["inputs"][0]["data"]
        binary = tensors.body(tensors.BINARY, tensors.BEST_FIVE).data[peers.HEAD :]
        self.assertEqual(len(binary), 4 * len(in_json))
        self.assertEqual(list(tensors.array("f", binary)), list(tensors.array("f", in_json)))


# It says its number, and somebody else is asked whether it is ready.
NEVER_READY = """
import sys
sys.path.insert(0, sys.argv[1])
from peers.servers import Server, end_on_sigterm
end_on_sigterm()
with Server(["sh", "-c", f"echo $$ > {sys.argv[2]}; exec sleep 60"], "", f"http://127.0.0.1:{sys.argv[3]}/"):
    pass
"""


class Servers(unittest.TestCase):
    def test_a_run_that_is_ended_while_a_server_starts_takes_it_with_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as asked:
            number = Path(folder) / "number"
            os.mkfifo(number)
            command = [sys.executable, "-c", NEVER_READY, HERE, number, str(asked.getsockname()[1])]
            run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            server = int(number.read_text())
            asked.accept()[0].close()
            run.send_signal(signal.SIGTERM)
            self.assertIn("ended by SIGTERM", run.communicate(timeout=30)[1])
            self.assertFalse(servers.started(server), "the server still runs")


class Containers(unittest.TestCase):
    def test_a_cgroup_that_cannot_be_made_leaves_nothing_behind(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            group = container.Cgroup(cpus=1, memory=2**30)
            group.settings = {Path(folder) / "cpu": {}, Path(folder) / "missing/memory": {}}
            with self.assertRaises(container.NotAllowed), group:
                self.fail("it was made")
            self.assertEqual(list(Path(folder).iterdir()), [])


class Figures(unittest.TestCase):
    def test_contestants_take_turns(self) -> None:
        order: list[str] = []
        turns = {name: lambda name=name: order.append(name) or {"value": len(order)} for name in "AB"}
        rows = list(by_turns(2, turns))[-1]
        self.assertEqual(order, ["A", "B", "B", "A"])
        self.assertEqual(median(rows["A"], "value"), 2.5)
        self.assertEqual(spread(rows["A"], "value"), 0.6)

    def test_an_aim_is_met_or_not_by_the_medians_for_the_same_uploads(self) -> None:
        row = lambda rate, cpu: [{"per_second": rate, "cpu_ms": cpu}]
        rows = {"resnet-serve": row(1000, 1), "resnet-serve, forms": row(800, 2), "FastAPI": row(100, 8),
                "PyTriton": row(500, 10), "Pillow alone": row(400, 4)}
        self.assertEqual([(one.measured, one.met) for one in front_end(rows)],
                         [(8, True), (0.25, False), (2, False), (0.1, True), (2.5, True)])

    def test_no_aim_is_met_or_missed_within_the_noise(self) -> None:
        rates = lambda *values: [{"per_second": value} for value in values]
        off = {OFF: rates(100, 100, 100)}
        verdicts = lambda *on: {one.verdict for one in telemetry(off | {WITHOUT_TRACES: rates(*on), ON: rates(*on)})}
        self.assertEqual(verdicts(104, 105, 105), {"met"})
        self.assertEqual(verdicts(90, 89, 90), {"**not met**"})
        self.assertEqual(verdicts(90, 100, 102), {"within the noise"})

    def test_pictures_are_xml_and_show_every_name(self) -> None:
        for text in (plot.bars("<b>", {"one & two": [1, 3, 2]}, "one & two"),
                     plot.points("<b>", ("x", "y"), {"one & two": (1, 2), "three": (2, 4)})):
            shown = [element.text for element in ElementTree.fromstring(text).iter() if element.text]
            self.assertIn("<b>", shown)
            self.assertIn("one & two", shown)


# As callgrind writes it: names once, jumps between files of one function, and what is called after `calls=`.
CALLGRIND = """version: 1
positions: line
events: Ir
fl=(1) main.rs
ob=(1) /bin/served
fn=(1) hyper::proto::poll
16 400
+2 100
cob=(2) /lib/libc.so.6
cfi=(2) malloc.c
cfn=(2) malloc
calls=3 50
17 6000
fi=(3) inlined.rs
* 7

fn=(3) serde_json::ser::format
12 30
cfn=(1)
calls=1 16
* 6500
ob=(2)
fl=(2)
fn=(2)
50 6000
"""


class Instructions(unittest.TestCase):
    def test_a_function_has_its_own_instructions_and_not_those_of_what_it_calls(self) -> None:
        with tempfile.NamedTemporaryFile("w+") as file:
            file.write(CALLGRIND)
            file.flush()
            found = callgrind.costs(Path(file.name))
        self.assertEqual(found, {("/bin/served", "hyper::proto::poll"): 507, ("/bin/served", "serde_json::ser::format"): 30,
                                 ("/lib/libc.so.6", "malloc"): 6000})

    def test_every_instruction_is_in_one_group(self) -> None:
        functions = {("/bin/served", "hyper::proto::poll"): 4_000_000, ("/lib/libc.so.6", "malloc"): 2_000_000,
                     ("/lib/libc.so.6", "__memcpy_avx_unaligned_erms"): 1_000_000, ("/bin/served", "unheard_of"): 3_000_000}
        rows = instructions.rows(Counter(functions), requests=2)
        millions = {name: found[0]["millions"] for name, found in rows.items()}
        self.assertEqual(millions, {instructions.ALL: 5, "HTTP": 2, groups.REST: 1.5, "allocating memory": 1,
                                    "copying and filling memory": 0.5})
        self.assertEqual(rows["HTTP"][0]["percent"], 40)


class Profile(unittest.TestCase):
    def test_what_others_libraries_do_counts_for_whom_they_do_it(self) -> None:
        frames = ["std::sys::thread::start", "resnet_serve::preprocess::transform::Transform::apply",
                  "libjpeg_turbo_rs::decode::row", "__memmove_avx_unaligned_erms"]
        self.assertEqual(groups.of_stack(frames), "decoding")
        self.assertEqual(groups.of_stack(frames[:2]), "header, orientation, packing")
        self.assertEqual(groups.of_stack(["resnet_serve::preprocess::baseline::entropy::read"]), "decoding")
        self.assertEqual(groups.of_stack(frames[:1]), groups.REST)

    def test_what_the_kernel_does_is_told_apart(self) -> None:
        frames = ["hyper::proto::poll", "write", "tcp_sendmsg_[k]", "copy_from_user_[k]"]
        self.assertEqual(groups.of_stack(frames), "kernel: network")
        self.assertEqual(groups.of_stack(["malloc", "asm_exc_page_fault_[k]"]), "kernel: memory")
        self.assertEqual(groups.of_stack(["read", "vfs_read_[k]"]), "kernel: the rest")

    def test_shares_are_of_all_samples(self) -> None:
        shares = profile.shares("worker;hyper::poll 30\nworker;serde_json::to_vec 10\nmain;main 60\n")
        self.assertEqual(shares, {"HTTP": 30, "JSON": 10, groups.REST: 60})


def served(*rates: float) -> list[dict]:
    return [{"per_second": rate, "p50_ms": 20, "p99_ms": 30, "cpu_ms": 5.5, "memory_mib": 100} for rate in rates]


class Int8(unittest.TestCase):
    ROWS = {"resnet-serve, small, float32": served(10, 20, 20), "resnet-serve, small, int8": served(40, 50, 80),
            "LitServe, small, int8": served(30, 30, 30)}

    def test_the_ratio_is_of_the_same_round_and_of_this_server(self) -> None:
        rows = int8.finished(self.ROWS, {"LitServe, small, int8": 0.006})
        self.assertEqual([row["of_float32"] for row in rows["resnet-serve, small, int8"]], [4, 2.5, 4])
        self.assertEqual([row["apart"] for row in rows["LitServe, small, int8"]], [0.006] * 3)
        unchanged = rows["resnet-serve, small, float32"] + rows["LitServe, small, int8"]
        self.assertFalse([row for row in unchanged if "of_float32" in row])

    def test_the_peers_serve_the_file_in_8_bits_that_this_server_serves(self) -> None:
        bench = SimpleNamespace(
            options=SimpleNamespace(rounds=1), default=Path("small"), resnet50=Path("large"), photos=[], longer_load=lambda: None,
            contestants={name: name for name in ("resnet-serve", "LitServe", "FastAPI", "BentoML")},
            best_classes=lambda *_: [{"class": 1, "probability": 0.5}],
            serve=lambda who, model, *_: {"per_second": 1, "served": f"{who}, {model}"})
        with mock.patch.object(int8, "quantized", lambda model, _: f"{model} made int8"):
            (rows,) = int8.int8(bench)
        self.assertEqual({name: row["served"] for name, (row,) in rows.items()}, {
            f"{who}, {model}, {kind}": f"{who}, {model}{' made int8' if kind == 'int8' else ''}" for model in ("small", "large")
            for who, kind in (("resnet-serve", "float32"), ("resnet-serve", "int8"), ("LitServe", "int8"), ("FastAPI", "int8"))})
        self.assertEqual([name for name, (row,) in rows.items() if "apart" in row], ["LitServe, small, int8", "FastAPI, small, int8"])

    def test_a_ratio_is_shown_where_there_is_one(self) -> None:
        rows = int8.finished(self.ROWS, {"LitServe, small, int8": 0.006})
        shown = report.section("int8", {"machine": "a", "rows": rows, "conditions": "with avx512_vnni"}, "a").splitlines()
        self.assertEqual([line for line in shown if line.startswith(("| resnet", "| Lit"))], [
            "| resnet-serve, small, float32 | 20.0 ± 25 % | – | 20.0 | 30.0 | 5.50 | 100 | – |",
            "| resnet-serve, small, int8 | 50.0 ± 40 % | 4.00 ± 19 % | 20.0 | 30.0 | 5.50 | 100 | – |",
            "| LitServe, small, int8 | 30.0 ± 0 % | – | 20.0 | 30.0 | 5.50 | 100 | 0.0060 |"])
        self.assertIn("*with avx512_vnni.*", shown)

    def test_the_conditions_name_the_instructions_for_8_bits_that_the_processor_has(self) -> None:
        bench = SimpleNamespace(options=SimpleNamespace(photos=None, seconds=5, clients=16), photos=[Path()], commit="c0ffee")
        for cpuinfo, named in (("flags\t\t: fpu avx2 avx512_vnni\n", "avx512_vnni"), ("Features\t: fp asimddp i8mm\n", "asimddp, i8mm"),
                               ("flags\t\t: fpu avx2\n", f"none of {', '.join(machine.INT8_INSTRUCTIONS)}")):
            with tempfile.NamedTemporaryFile("w") as file, mock.patch.object(machine, "CPUINFO", Path(file.name)):
                file.write(cpuinfo)
                file.flush()
                said = report.conditions(bench, "int8", self.ROWS)
            self.assertEqual(said, "1 synthetic pictures, 3 rounds of 15 s, 16 clients where nothing else is said, "
                                   f"instructions for 8 bits: {named}, at commit c0ffee")

    def test_a_model_that_cannot_be_quantized_ends_the_run_with_the_commands_own_error(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "resnet-serve"
            program.write_text('#!/bin/sh\necho "error: not for $*" >&2\nexit 1\n')
            program.chmod(0o755)
            with mock.patch.multiple(int8, BINARY=program, MADE=Path(folder)), self.assertRaises(SystemExit) as ended:
                int8.quantized(Path("models/small"), [Path("photos/1.jpg")])
        asked = f"model quantize models/small --data photos -o {folder}/models/small-int8 --force"
        self.assertIn(f"\nerror: not for {asked}\n", ended.exception.code)


class Agreement(unittest.TestCase):
    def test_how_far_servers_are_apart_is_the_median_over_pictures(self) -> None:
        best = lambda *found: [{"class": which, "probability": probability} for which, probability in found]
        ours = best((1, 0.5), (2, 0.5), (3, 0.5))
        self.assertAlmostEqual(apart("LitServe", ours, best((1, 0.51), (2, 0.5), (4, 0.5)), 0.02), 0.01)
        for theirs in (best((1, 0.53), (2, 0.53), (3, 0.5)), best((1, 0.5), (1, 0.5), (4, 0.5))):
            with self.assertRaisesRegex(SystemExit, "they do not do the same work"):
                apart("LitServe", ours, theirs, 0.02)


class Pages(unittest.TestCase):
    def test_every_case_has_a_section_and_every_aim_a_case(self) -> None:
        self.assertEqual(CASES.keys(), SECTIONS.keys())
        self.assertLessEqual(TARGETS.keys(), CASES.keys())

    def test_the_results_are_what_was_measured(self) -> None:
        known = json.loads((HERE / "compare/results.json").read_text())
        self.assertEqual((HERE / "RESULTS.md").read_text(), report.page(known))

    def test_a_table_from_another_machine_says_so(self) -> None:
        case = {"rows": {"a": [{"per_second": 1.0}]}, "conditions": "once"}
        cases = {name: case | {"machine": machine} for name, machine in (("clients", "x"), ("papers", "x"), ("default", "y"))}
        usual = report.usual_machine(cases)
        self.assertEqual("x", usual)
        self.assertIn("*once; on y.*", report.section("default", cases["default"], usual))
        self.assertIn("*once.*", report.section("papers", cases["papers"], usual))

    def test_the_results_under_overload_are_what_was_measured(self) -> None:
        known = json.loads((HERE / "overload/results.json").read_text())
        self.assertEqual((HERE / "overload/RESULTS.md").read_text(), overload_report.page(known))
        self.assertEqual((HERE / "overload/goodput.svg").read_text(), plot_of_goodput.draw(known["cases"]["load"]["result"]))

    def test_everyone_has_the_same_onnxruntime(self) -> None:
        fetched = (HERE.parent / "docker/requirements-onnxruntime.txt").read_text()
        files = [HERE / "compare/requirements.txt", *(HERE / "peers" / peer.requirements for peer in peers.PEERS)]
        for file in files:
            pins = [line for line in file.read_text().splitlines() if line.startswith("onnxruntime==")]
            self.assertEqual(len(pins), 1, file)
            self.assertIn(pins[0], fetched)


if __name__ == "__main__":
    unittest.main()
