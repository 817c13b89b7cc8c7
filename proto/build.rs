//! Generates messages, services, their JSON mapping, and the descriptor set for reflection.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let descriptors = out.join("standfast_descriptor.bin");
    let includes = ["."]
        .into_iter()
        .map(PathBuf::from)
        .chain(std::env::var_os("PROTOC_INCLUDE").map(PathBuf::from))
        .collect::<Vec<_>>();
    let protos = std::fs::read_dir("standfast/v1")?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()?;
    println!("cargo::rerun-if-changed=standfast/v1");
    tonic_prost_build::configure()
        .file_descriptor_set_path(&descriptors)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_well_known_types(true)
        .compile_protos(&protos, &includes)?;
    pbjson_build::Builder::new()
        .register_descriptors(&std::fs::read(descriptors)?)?
        .build(&[".standfast.v1"])?;
    Ok(())
}
