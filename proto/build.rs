//! Generates messages, services, their JSON mapping, and the descriptor set for reflection.
//!
//! protoc is found by `PROTOC`, its well-known types by `PROTOC_INCLUDE`; both are prost's own
//! variables. The descriptor set keeps the comments: a test reads them.

use std::path::PathBuf;

/// Where the sources are; their imports begin with the same path.
const SOURCES: &str = "standfast/v1";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let descriptors = out.join("standfast_descriptor.bin");

    let mut protos = std::fs::read_dir(SOURCES)?
        .map(|entry| entry.map(|file| file.path()))
        .collect::<Result<Vec<_>, _>>()?;
    protos.sort(); // the order of a directory is nobody's, and it shows in the generated code
    println!("cargo::rerun-if-changed={SOURCES}");

    tonic_prost_build::configure()
        .file_descriptor_set_path(&descriptors)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_well_known_types(true)
        .btree_map(".") // what is printed, or hashed, has one order
        .compile_protos(&protos, &[PathBuf::from(".")])?;
    pbjson_build::Builder::new()
        .btree_map(["."])
        .register_descriptors(&std::fs::read(descriptors)?)?
        .build(&[".standfast.v1"])?;
    Ok(())
}
