"""Unmodified tritonclient against the real binary: whatever it sends gets the answer of `/classify`.

    make test-clients
"""

import os
import queue
import unittest
from pathlib import Path

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from google.protobuf import descriptor_pb2
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException

from service import CLASSES, MODEL, ROOT, SIDE, Service, bmp, pictures, pixels, tensor

BINARY = Path(os.environ.get("BINARY", ROOT / "target/debug/resnet-serve"))
PICTURE = bmp(pixels())
TENSOR = tensor(pixels())[np.newaxis]
TOLERANCE = {"rtol": 0, "atol": 1e-5}


def setUpModule() -> None:
    global SERVICE, EXPECTED
    SERVICE = Service(BINARY)
    EXPECTED = SERVICE.probabilities(PICTURE)


def tearDownModule() -> None:
    code = SERVICE.stop()
    assert code == 0, f"the service ends with {code}"


class Door:
    """What holds for both doors; `client` is one of tritonclient's modules."""

    client = None
    listener = ""
    statuses = {}

    def setUp(self) -> None:
        self.triton = self.client.InferenceServerClient(SERVICE.addresses[self.listener])
        self.addCleanup(self.triton.close)

    def image(self, files: list[bytes], shape: list[int] | None = None):
        given = self.client.InferInput("image", shape or [len(files)], "BYTES")
        given.set_data_from_numpy(pictures(files).reshape(shape or [len(files)]))
        return [given]

    def tensor(self, values: np.ndarray = TENSOR, datatype: str = "FP32"):
        given = self.client.InferInput("input", list(values.shape), datatype)
        given.set_data_from_numpy(values)
        return [given]

    def infer(self, inputs, **rest):
        return self.triton.infer(MODEL, inputs, **rest)

    def assert_expected(self, result, images: int = 1) -> None:
        found = result.as_numpy("probabilities")
        self.assertEqual(found.shape, (images, CLASSES))
        np.testing.assert_allclose(found, np.tile(EXPECTED, (images, 1)), **TOLERANCE)

    def assert_refused(self, status: str, words: str, call) -> None:
        with self.assertRaises(InferenceServerException) as refused:
            call()
        self.assertIn(words, refused.exception.message())
        self.assertEqual(refused.exception.status(), self.statuses[status])

    def test_the_server_is_live_and_ready(self) -> None:
        self.assertTrue(self.triton.is_server_live())
        self.assertTrue(self.triton.is_server_ready())
        self.assertTrue(self.triton.is_model_ready(MODEL))
        self.assertTrue(self.triton.is_model_ready(MODEL, "1"))
        self.assertFalse(self.triton.is_model_ready(MODEL, "2"))
        self.assertFalse(self.triton.is_model_ready("other"))

    def test_pictures_get_the_answer_of_classify(self) -> None:
        self.assert_expected(self.infer(self.image([PICTURE])))
        self.assert_expected(self.infer(self.image([PICTURE] * 3), model_version="1"), 3)
        self.assert_expected(self.infer(self.image([PICTURE] * 2, [2, 1])), 2)

    def test_the_networks_own_input_gets_the_answer_of_classify(self) -> None:
        self.assert_expected(self.infer(self.tensor()))
        self.assert_expected(self.infer(self.tensor(np.repeat(TENSOR, 5, axis=0))), 5)

    def test_outputs_are_those_that_are_asked_for(self) -> None:
        logits = self.client.InferRequestedOutput("logits")
        result = self.infer(self.image([PICTURE]), outputs=[logits])
        exponentials = np.exp(result.as_numpy("logits"))
        np.testing.assert_allclose(exponentials / exponentials.sum(), EXPECTED[np.newaxis], **TOLERANCE)
        self.assertIsNone(result.as_numpy("probabilities"))

    def test_classes_come_best_first_by_value_index_and_label(self) -> None:
        labels = [line.split("\t")[1] for line in (ROOT / "models" / MODEL / "labels.tsv").read_text().splitlines()]
        wanted = self.client.InferRequestedOutput("probabilities", class_count=3)
        found = self.infer(self.image([PICTURE]), outputs=[wanted]).as_numpy("probabilities")
        self.assertEqual(found.shape, (1, 3))
        texts = [one.decode() if isinstance(one, bytes) else one for one in found[0]]
        for text, index in zip(texts, np.argsort(-EXPECTED)[:3], strict=True):
            value, found_index, label = text.split(":", 2)
            self.assertEqual((int(found_index), label), (index, labels[index]))
            self.assertAlmostEqual(float(value), float(EXPECTED[index]), delta=1e-5)

    def test_features_and_their_map_are_given_where_they_are_asked_for(self) -> None:
        names = ["features", "feature_map"]
        found = self.infer(self.tensor(), outputs=[self.client.InferRequestedOutput(name) for name in names])
        features, feature_map = (found.as_numpy(name) for name in names)
        self.assertEqual((features.shape, feature_map.shape), ((1, 64), (1, 64, 8, 8)))
        np.testing.assert_allclose(feature_map.mean(axis=(2, 3)), features, rtol=1e-4)

    def test_a_request_is_named_and_may_have_a_timeout_and_a_priority(self) -> None:
        result = self.infer(self.image([PICTURE]), request_id="mine", priority=1, timeout=20_000_000)
        answer = result.get_response()
        self.assertEqual(answer["id"] if isinstance(answer, dict) else answer.id, "mine")
        self.assert_refused("timeout", "", lambda: self.infer(self.tensor(), timeout=1))

    def test_what_does_not_fit_is_refused_in_words(self) -> None:
        narrow = np.zeros((1, 3, SIDE, SIDE - 1), np.float32)
        double = TENSOR.astype(np.float64)
        unknown = self.client.InferRequestedOutput("embedding")
        other = self.client.InferInput("pixels", [1, 3, SIDE, SIDE], "FP32")
        other.set_data_from_numpy(TENSOR)
        for words, call in [
            ("not [n, 3, 32, 32]", lambda: self.infer(self.tensor(narrow))),
            ("the datatype `FP64`, not `FP32`", lambda: self.infer(self.tensor(double, "FP64"))),
            ("no output `embedding`", lambda: self.infer(self.tensor(), outputs=[unknown])),
            ("no input `pixels`", lambda: self.infer([other])),
            ("one input is taken", lambda: self.infer([*self.tensor(), *self.image([PICTURE])])),
        ]:
            self.assert_refused("invalid", words, call)

    def test_a_file_that_is_no_picture_is_refused_and_named(self) -> None:
        self.assert_refused("undecodable", "image 1: ", lambda: self.infer(self.image([PICTURE, b"text"])))

    def test_a_model_or_version_that_there_is_not_is_not_found(self) -> None:
        for call in [
            lambda: self.triton.infer("other", self.tensor()),
            lambda: self.infer(self.tensor(), model_version="2"),
            lambda: self.triton.get_model_metadata("other"),
            lambda: self.triton.get_model_config(MODEL, "2"),
        ]:
            self.assert_refused("unknown", "is served", call)


class Http(Door, unittest.TestCase):
    client, listener = httpclient, "public"
    statuses = {"invalid": "400", "undecodable": "422", "unknown": "404", "timeout": "503"}

    def test_metadata_and_configuration(self) -> None:
        server = self.triton.get_server_metadata()
        self.assertEqual(server["name"], "resnet-serve")
        model = self.triton.get_model_metadata(MODEL)
        self.assertEqual(model["inputs"][0], {"name": "input", "datatype": "FP32", "shape": [-1, 3, SIDE, SIDE]})
        config = self.triton.get_model_config(MODEL, "1")
        self.assertEqual(config["input"][1]["data_type"], "TYPE_STRING")

    def test_json_and_binary_may_be_mixed_in_either_direction(self) -> None:
        given = httpclient.InferInput("input", [1, 3, SIDE, SIDE], "FP32")
        given.set_data_from_numpy(TENSOR, binary_data=False)
        image = httpclient.InferInput("image", [1], "BYTES")
        image.set_data_from_numpy(pictures([PICTURE], encoded=True), binary_data=False)
        for inputs in ([given], [image], self.tensor()):
            for binary in (True, False):
                wanted = [httpclient.InferRequestedOutput("probabilities", binary_data=binary)]
                self.assert_expected(self.infer(inputs, outputs=wanted))

    def test_compression_in_both_directions(self) -> None:
        files = [PICTURE] * 40
        for algorithm in ("gzip", "deflate"):
            for both in ({"response_compression_algorithm": algorithm}, {}):
                result = self.infer(self.image(files), request_compression_algorithm=algorithm, **both)
                self.assert_expected(result, len(files))
            refused = lambda: self.infer(self.image([b"text"]), response_compression_algorithm=algorithm)
            self.assert_refused("undecodable", "", refused)

    def test_asynchronous_requests_are_all_answered(self) -> None:
        with httpclient.InferenceServerClient(SERVICE.addresses["public"], concurrency=4) as triton:
            requests = [triton.async_infer(MODEL, self.image([PICTURE])) for _ in range(20)]
            for request in requests:
                self.assert_expected(request.get_result())


class Grpc(Door, unittest.TestCase):
    client, listener = grpcclient, "grpc"
    statuses = {
        "invalid": "StatusCode.INVALID_ARGUMENT",
        "undecodable": "StatusCode.INVALID_ARGUMENT",
        "unknown": "StatusCode.NOT_FOUND",
        "timeout": "StatusCode.RESOURCE_EXHAUSTED",
    }

    def test_metadata_and_configuration(self) -> None:
        self.assertEqual(self.triton.get_server_metadata().name, "resnet-serve")
        model = self.triton.get_model_metadata(MODEL)
        self.assertEqual(list(model.inputs[0].shape), [-1, 3, SIDE, SIDE])
        config = self.triton.get_model_config(MODEL, "1").config
        self.assertEqual(config.input[0].data_type, model_config_pb2.TYPE_FP32)
        self.assertEqual(config.input[0].format, model_config_pb2.ModelInput.FORMAT_NCHW)
        self.assertEqual(config.instance_group[0].kind, model_config_pb2.ModelInstanceGroup.KIND_CPU)
        self.assertEqual(config.parameters["trained"].string_value, "true")
        self.assertEqual(config.backend, "onnxruntime")

    def test_compression_in_both_directions(self) -> None:
        for algorithm in ("gzip", "deflate"):
            self.assert_expected(self.infer(self.image([PICTURE]), compression_algorithm=algorithm))

    def test_asynchronous_requests_are_all_answered(self) -> None:
        answers = queue.Queue()
        for _ in range(20):
            callback = lambda result, error: answers.put((result, error))
            self.triton.async_infer(MODEL, self.image([PICTURE]), callback)
        for _ in range(20):
            result, error = answers.get(timeout=60)
            self.assertIsNone(error)
            self.assert_expected(result)

    def test_a_stream_answers_in_order_and_goes_on_after_an_error(self) -> None:
        answers = queue.Queue()
        self.triton.start_stream(lambda result, error: answers.put((result, error)))
        self.triton.async_stream_infer(MODEL, self.tensor(), request_id="a")
        self.triton.async_stream_infer(MODEL, self.image([b"text"]), request_id="b")
        self.triton.async_stream_infer(MODEL, self.image([PICTURE]), request_id="c")
        found = [answers.get(timeout=60) for _ in range(3)]
        self.triton.stop_stream()
        self.assertEqual([error is None for _, error in found], [True, False, True])
        for place, name in ((0, "a"), (2, "c")):
            self.assertEqual(found[place][0].get_response().id, name)
            self.assert_expected(found[place][0])

    def test_what_there_is_not_is_named(self) -> None:
        self.statuses = self.statuses | {"missing": "StatusCode.UNIMPLEMENTED"}
        for words, call in [
            ("`GET /metrics` of the admin listener", self.triton.get_inference_statistics),
            ("`GET /models` of the HTTP listener", self.triton.get_model_repository_index),
            ("GRPCInferenceService/SystemSharedMemoryStatus", self.triton.get_system_shared_memory_status),
        ]:
            self.assert_refused("missing", words, call)

    def test_a_deadline_of_the_call_holds(self) -> None:
        with self.assertRaises(InferenceServerException) as refused:
            self.infer(self.image([PICTURE] * 200), client_timeout=0.001)
        self.assertEqual(refused.exception.status(), "StatusCode.DEADLINE_EXCEEDED")


class Definition(unittest.TestCase):
    """What the service compiles in is the protocol that its clients are compiled from."""

    def test_names_numbers_and_types_are_those_of_tritonclient(self) -> None:
        ours = descriptor_pb2.FileDescriptorSet.FromString((ROOT / "proto/inference.binpb").read_bytes()).file[0]
        theirs = {}
        for module in (service_pb2, model_config_pb2):
            file = descriptor_pb2.FileDescriptorProto()
            module.DESCRIPTOR.CopyToProto(file)
            theirs |= parts(file)
        for name, part in parts(ours).items():
            self.assertEqual(part, theirs.get(name), name)
        self.assertGreater(len(parts(ours)), 100)


def parts(file: descriptor_pb2.FileDescriptorProto) -> dict[str, tuple]:
    """Every field, value and method by its full name."""
    found = {}
    for service in file.service:
        for method in service.method:
            streams = (method.client_streaming, method.server_streaming)
            found[f"{service.name}.{method.name}"] = (method.input_type, method.output_type, *streams)
    for enum in file.enum_type:
        found |= {f"{enum.name}.{value.name}": value.number for value in enum.value}
    messages = [("", message) for message in file.message_type]
    while messages:
        prefix, message = messages.pop()
        name = f"{prefix}{message.name}."
        messages += [(name, nested) for nested in message.nested_type]
        for field in message.field:
            found[name + field.name] = (field.number, field.type, field.label, field.type_name)
        for enum in message.enum_type:
            found |= {f"{name}{enum.name}.{value.name}": value.number for value in enum.value}
    return found


if __name__ == "__main__":
    unittest.main()
