"""Which part of the work a function belongs to, by its name and the file that it is in."""

import re

REST = "everything else"

# The first that fits, as in `/usr/lib/libc.so.6:malloc`.
GROUPS = {
    "the network (ONNX Runtime)": r"libonnxruntime",
    "copying and filling memory": r"libc[.-].*:_*(mem(cpy|move|set|cmp|chr)|str)",
    "allocating memory": r"libc[.-].*:_*(int_)?(malloc|free|realloc|calloc|memalign|sysmalloc|unlink_chunk|tcache)|:__rust_",
    "decoding": r"libjpeg_turbo_rs|png|zune|preprocess::(baseline|decode)",
    "resizing": r"fast_image_resize|preprocess::resize",
    "header, orientation, packing": r"resnet_serve::preprocess|preprocess::pack|pack_and_run",
    "ranking": r"resnet_serve::ranking|libm[.-]|expf",
    "JSON": r"serde|itoa|ryu|zmij",
    "queue and batches": r"resnet_serve::batching",
    "log, metrics, traces": r"tracing|prometheus|resnet_serve::telemetry|resnet_serve::api::observe|opentelemetry",
    "HTTP": r"hyper|axum|httparse|http::|http_body|tower|h2::|multer|matchit|resnet_serve::api",
    "asynchronous tasks, threads": r"tokio|futures|libc[.-].*:.*(pthread|futex|epoll|syscall|lll_)|parking_lot|mio::|eventfd",
}

KERNEL = {
    "kernel: network": r"tcp|sock|inet|skb|loopback|net_rx|ip_",
    "kernel: memory": r"page_fault|mmap|munmap|madvise|folio|brk",
    "kernel: waiting and waking": r"futex|sched|epoll|eventfd|nanosleep|idle",
}


def group(function: str) -> str:
    return next((name for name, pattern in GROUPS.items() if re.search(pattern, function)), REST)


def of_stack(frames: list[str]) -> str:
    """By the innermost function that is known, so that what the libraries of others do counts for who calls them."""
    kernel = [frame for frame in frames if frame.endswith("_[k]")]
    if kernel:
        found = (name for name, pattern in KERNEL.items() if any(re.search(pattern, frame) for frame in kernel))
        return next(found, "kernel: the rest")
    found = (group(frame) for frame in reversed(frames))
    return next((name for name in found if name != REST), REST)
