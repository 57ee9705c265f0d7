//! The methods that there are, and what is said of others.

use tonic::Status;

use crate::serving::shown;

/// As labels too: a client cannot make others.
const METHODS: [&str; 12] = [
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
    "/inference.GRPCInferenceService/ModelReady",
    "/inference.GRPCInferenceService/ServerMetadata",
    "/inference.GRPCInferenceService/ModelMetadata",
    "/inference.GRPCInferenceService/ModelConfig",
    "/inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService/ModelStreamInfer",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Those of them whose call is a stream, which stays open for as long as its client likes.
const STREAMS: [&str; 4] = [
    "/inference.GRPCInferenceService/ModelStreamInfer",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

const BY_VALUE: &str = "tensors are sent in the message, as raw contents";

/// Where there is what some of Triton's methods are for.
const ELSEWHERE: [(&str, &str); 12] = [
    ("ModelStatistics", "what is counted and timed is at `GET /metrics` of the admin listener"),
    ("RepositoryIndex", "the models are listed at `GET /models` of the HTTP listener"),
    (
        "RepositoryModelLoad",
        "models are loaded anew by `POST /models/reload` to the admin listener",
    ),
    ("RepositoryModelUnload", "a process serves the models that it was started with"),
    ("TraceSetting", "`--otlp-endpoint` sends traces"),
    ("SystemSharedMemoryStatus", BY_VALUE),
    ("SystemSharedMemoryRegister", BY_VALUE),
    ("SystemSharedMemoryUnregister", BY_VALUE),
    ("CudaSharedMemoryStatus", BY_VALUE),
    ("CudaSharedMemoryRegister", BY_VALUE),
    ("CudaSharedMemoryUnregister", BY_VALUE),
    ("LogSettings", "the log's level is set by `PUT /log-level` to the admin listener"),
];

/// The method of that path, where there is one.
pub(super) fn known(path: &str) -> Option<&'static str> {
    METHODS.into_iter().find(|method| *method == path)
}

pub(super) fn is_stream(method: &str) -> bool {
    STREAMS.contains(&method)
}

/// The answer to a method that there is not.
pub(super) fn unimplemented(path: &str) -> Status {
    let path = path.trim_start_matches('/');
    let name = path.rsplit('/').next().unwrap_or_default();
    let elsewhere = ELSEWHERE.iter().find(|(method, _)| *method == name);
    let words = elsewhere.map_or_else(String::new, |(_, place)| format!("; {place}"));
    Status::unimplemented(format!("there is no method `{}`{words}", shown(&path)))
}
