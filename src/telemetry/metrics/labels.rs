//! The values that labels have: a closed set for each, so that no client can make series.

/// Declares an enum whose variants are the values of one label.
macro_rules! label {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $variant_doc:literal])* $variant:ident = $text:literal,)+ }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $name { $($(#[doc = $variant_doc])* $variant,)+ }

        impl $name {
            /// Every value, so that each series exists from the start.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The value of the label.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

label! {
    /// What became of an image.
    Outcome {
        /// It has its labels.
        Classified = "classified",
        /// It is no picture that can be read, or no tensor from which scores follow.
        Undecodable = "undecodable",
        /// It was refused because of load.
        Rejected = "rejected",
        /// Its deadline passed in the queue.
        Expired = "expired",
        /// Its client went away.
        Abandoned = "abandoned",
        /// Inference failed on it.
        Failed = "failed",
    }
}

label! {
    /// A stage of a request's way.
    Stage {
        /// The body arrives.
        Read = "read",
        /// A picture becomes pixels of the network's size, waiting for a core included.
        Decode = "decode",
        /// Pixels wait for a worker.
        Queue = "queue",
        /// The batch runs.
        Inference = "inference",
        /// Logits become the answer.
        Respond = "respond",
    }
}

label! {
    /// How far an image had come when its client went away.
    Abandonment {
        /// It waited for a core to be decoded on; it never was.
        Admitted = "admitted",
        /// It was being decoded; it never came into the queue.
        Decode = "decode",
        /// It waited for a worker; it never ran.
        Queue = "queue",
        /// It was in a batch, which ran for nobody as far as this image goes.
        Batch = "batch",
    }
}

label! {
    /// What became of a JPEG that the GPU's unit was given.
    UnitResult {
        /// Its pixels were used.
        Decoded = "decoded",
        /// The file is cut off or broken, which a core finds out; what the unit made of it is thrown away.
        Broken = "broken",
        /// The unit made nothing of it, and a core decoded it.
        Failed = "failed",
    }
}

label! {
    /// Why a request was refused at the door.
    Reason {
        /// As many images as the queue takes are waiting.
        QueueFull = "queue_full",
        /// The backlog would not drain before the deadline.
        Deadline = "deadline",
        /// No worker has an engine that works.
        NoWorker = "no_worker",
        /// Bodies and pixels take all the memory they may.
        Memory = "memory",
        /// The process is shutting down.
        Draining = "draining",
    }
}

label! {
    /// What is listened on.
    Listener {
        /// For clients over HTTP.
        Public = "public",
        /// For probes and scrapes.
        Admin = "admin",
        /// For clients over gRPC.
        Grpc = "grpc",
    }
}

label! {
    /// Why a connection could not be encrypted.
    HandshakeFailure {
        /// The client took too long.
        TimedOut = "timed_out",
        /// The client went away.
        Closed = "closed",
        /// The client showed no certificate though one is asked for.
        NoCertificate = "no_certificate",
        /// The client's certificate is not signed by who is trusted, or does not hold any more.
        BadCertificate = "bad_certificate",
        /// The client broke it off, mostly because it does not trust the server's certificate.
        ClientAlert = "client_alert",
        /// The client speaks no TLS, or no version and cipher that are spoken here.
        Protocol = "protocol",
    }
}

label! {
    /// What became of a span.
    SpanOutcome {
        /// The collector has it.
        Sent = "sent",
        /// The collector could not be reached, or did not take it.
        Failed = "failed",
        /// Too many were waiting to be sent.
        Dropped = "dropped",
    }
}

label! {
    /// What is read anew while the service runs, models aside.
    File {
        /// Of `--api-keys-file`.
        ApiKeys = "api_keys",
        /// Of `--tls-cert`, `--tls-key` and `--tls-client-ca`.
        Certificates = "certificates",
    }
}

label! {
    /// What became of a model that was to be loaded anew.
    Reload {
        /// It took the old one's place.
        Succeeded = "succeeded",
        /// The old one serves as before.
        Failed = "failed",
    }
}
