//! `standfast.v1`: the gRPC interface, with its JSON mapping.

/// Messages, clients and servers of `standfast.v1`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("standfast.v1");
    include!(concat!(env!("OUT_DIR"), "/standfast.v1.serde.rs"));
}

/// Every descriptor of this crate, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/standfast_descriptor.bin"));
