//! Messages to and from bytes, with a look at their size before they are decoded.

use std::marker::PhantomData;

use bytes::{Buf as _, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::ProstCodec;

use super::proto;
use super::weigh;

/// Times its own size that a message may take when it is decoded: a byte of a `UINT8` tensor is a
/// number of four bytes among typed contents.
const GREATEST_GROWTH: usize = 4;

/// Bytes that any message may take.
const SMALL: usize = 64 << 10;

/// prost's codec, which refuses what would take many times its own size.
pub(super) struct GuardedCodec<T, U> {
    messages: PhantomData<(T, U)>,
}

/// Decodes what is not too large.
pub(super) struct GuardedDecoder<U> {
    message: PhantomData<U>,
}

/// A message from a client.
pub(super) trait Guarded: Message + Default {
    /// Bytes that its fields will take, those left out that stay where they are.
    fn decoded_bytes(message: &Bytes) -> usize {
        message.len()
    }
}

impl<T, U> Default for GuardedCodec<T, U> {
    fn default() -> Self {
        Self { messages: PhantomData }
    }
}

impl<T, U> Codec for GuardedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Guarded + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = GuardedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        GuardedDecoder { message: PhantomData }
    }
}

impl<U: Guarded> Decoder for GuardedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let decoded = U::decoded_bytes(&bytes);
        if decoded > SMALL + GREATEST_GROWTH * bytes.len() {
            let words =
                format!("the message would take {decoded} bytes, {} were sent", bytes.len());
            return Err(Status::invalid_argument(words));
        }
        let message = U::decode(bytes);
        message.map(Some).map_err(|cause| Status::invalid_argument(cause.to_string()))
    }
}

impl Guarded for proto::ModelInferRequest {
    fn decoded_bytes(message: &Bytes) -> usize {
        // What is no message is refused by decoding it.
        weigh::request(message.clone()).unwrap_or_default()
    }
}

impl Guarded for proto::ServerLiveRequest {}
impl Guarded for proto::ServerReadyRequest {}
impl Guarded for proto::ModelReadyRequest {}
impl Guarded for proto::ServerMetadataRequest {}
impl Guarded for proto::ModelMetadataRequest {}
impl Guarded for proto::ModelConfigRequest {}
