//! `standfast.v1`: the gRPC interface of Standfast, with its JSON mapping.
//!
//! The sources are `standfast/v1/*.proto`; their comments are the reference, and
//! `common.proto` has the contract of the errors. Times are wall-clock times for people to read;
//! nothing is decided by them.

/// Messages, clients and servers of `standfast.v1`.
#[expect(clippy::allow_attributes, reason = "the generators write allow")]
pub mod v1 {
    tonic::include_proto!("standfast.v1");
    include!(concat!(env!("OUT_DIR"), "/standfast.v1.serde.rs"));
}

/// What a client should take in one answer (`max_decoding_message_size`), in bytes: a run of 10,000 steps
/// is larger than the 4 MiB that tonic takes by itself.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Every descriptor of this crate, comments included, as an encoded
/// `google.protobuf.FileDescriptorSet`: what server reflection serves.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/standfast_descriptor.bin"));

/// What the `google.rpc.ErrorInfo` of a failed call says; `common.proto` is the reference.
pub mod reason;
