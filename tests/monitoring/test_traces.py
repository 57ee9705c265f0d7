"""A real OTLP receiver gets a request's spans, over gRPC and over HTTP, with the right parents and links."""

import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer, add_TraceServiceServicer_to_server
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from support import Service, picture

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STAGES = ["read", "decode", "queue", "inference", "respond"]


class Spans:
    """What a collector has received."""

    def __init__(self) -> None:
        self.all: list[Span] = []
        self.resource: dict[str, str] = {}

    def take(self, request: ExportTraceServiceRequest) -> ExportTraceServiceResponse:
        for resource in request.resource_spans:
            self.resource |= {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
            self.all += [span for scope in resource.scope_spans for span in scope.spans]
        return ExportTraceServiceResponse()

    def named(self, name: str) -> list[Span]:
        return [span for span in self.all if span.name == name]


class Grpc(TraceServiceServicer):
    protocol = "grpc"

    def __init__(self, spans: Spans):
        self.spans = spans
        self.server = grpc.server(ThreadPoolExecutor(2))
        add_TraceServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def Export(self, request: ExportTraceServiceRequest, context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        return self.spans.take(request)

    def stop(self) -> None:
        self.server.stop(None)


class Http:
    protocol = "http"

    def __init__(self, spans: Spans):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = spans.take(ExportTraceServiceRequest.FromString(body)).SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def attributes(span: Span) -> dict[str, object]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


class Receivers(unittest.TestCase):
    def received(self, collector: type, *flags: str, requests: list[dict]) -> Spans:
        """What arrives until the service has ended, which is when it has sent everything."""
        spans = Spans()
        receiver = collector(spans)
        self.addCleanup(receiver.stop)
        with Service(f"--otlp-endpoint=http://127.0.0.1:{receiver.port}", f"--otlp-protocol={receiver.protocol}", *flags) as service:
            for request in requests:
                service.classify(**request)
            self.assertEqual(service.terminate(), 0)
        return spans

    def test_a_request_that_its_caller_traces(self) -> None:
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
        for collector in (Grpc, Http):
            with self.subTest(collector.protocol):
                spans = self.received(collector, "--trace-ratio=0", requests=[{"body": picture(), "headers": headers}, {"body": picture()}])
                request, = spans.named("POST /classify")
                self.assertEqual((request.trace_id.hex(), request.parent_span_id.hex()), (TRACE, PARENT))
                self.assertEqual((request.kind, request.trace_state), (Span.SPAN_KIND_SERVER, "vendor=1"))
                self.assertLessEqual({"http.response.status_code": 200, "http.route": "/classify", "images": 1}.items(), attributes(request).items())
                for stage in STAGES:
                    part, = spans.named(stage)
                    self.assertEqual((part.trace_id, part.parent_span_id), (request.trace_id, request.span_id), stage)
                    self.assertLessEqual(request.start_time_unix_nano, part.start_time_unix_nano)
                batch, = spans.named("batch")
                self.assertNotEqual(batch.trace_id, request.trace_id)
                self.assertEqual(batch.parent_span_id, b"")
                self.assertEqual([link.span_id for link in batch.links], [request.span_id])
                inference, = spans.named("inference")
                self.assertEqual([link.span_id for link in inference.links], [batch.span_id])
                self.assertEqual(len(spans.all), len(STAGES) + 2)
                self.assertEqual(spans.resource["service.name"], "resnet-serve")

    def test_stages_follow_each_other(self) -> None:
        spans = self.received(Grpc, requests=[{"body": picture()}])
        stages = [spans.named(stage)[0] for stage in STAGES]
        for before, after in zip(stages, stages[1:]):
            self.assertLessEqual(before.start_time_unix_nano, after.start_time_unix_nano, after.name)
        queue, inference = stages[2:4]
        self.assertLessEqual(queue.end_time_unix_nano - inference.start_time_unix_nano, 1_000_000)

    def test_mistakes_of_clients_are_no_errors(self) -> None:
        spans = self.received(Http, requests=[{"body": b"no picture"}, {"body": picture(), "query": "?timeout_ms=1"}])
        wrong, late = spans.named("POST /classify")
        self.assertEqual(wrong.status.code, Status.STATUS_CODE_UNSET)
        self.assertEqual(attributes(wrong)["error.type"], "undecodable_image")
        status = attributes(late)["http.response.status_code"]
        self.assertEqual(late.status.code == Status.STATUS_CODE_ERROR, status >= 500)

    def test_a_quarter_is_a_quarter(self) -> None:
        spans = self.received(Grpc, "--trace-ratio=0.25", requests=[{"body": picture()}] * 400)
        self.assertTrue(50 < len(spans.named("POST /classify")) < 150)
        # Each is whole, or not there.
        for stage in STAGES:
            self.assertEqual(len(spans.named(stage)), len(spans.named("POST /classify")), stage)


if __name__ == "__main__":
    unittest.main(verbosity=2)
