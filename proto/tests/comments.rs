//! The interface is its own reference: whoever adds a field says what it means.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto,
};

// Field numbers of google/protobuf/descriptor.proto, of which source locations are made.
const FILE_MESSAGE: i32 = 4;
const FILE_ENUM: i32 = 5;
const FILE_SERVICE: i32 = 6;
const MESSAGE_FIELD: i32 = 2;
const MESSAGE_NESTED: i32 = 3;
const MESSAGE_ENUM: i32 = 4;
const MESSAGE_ONEOF: i32 = 8;
const ENUM_VALUE: i32 = 2;
const SERVICE_METHOD: i32 = 2;

fn files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(standfast_proto::DESCRIPTORS).expect("a descriptor set");
    set.file.into_iter().filter(|file| file.package() == "standfast.v1").collect()
}

/// Everything in a file that has a name, by its source location.
#[derive(Default)]
struct Named(BTreeMap<Vec<i32>, String>);

impl Named {
    fn add(&mut self, path: &[i32], tail: [i32; 2], within: &str, name: &str) -> (Vec<i32>, String) {
        let path = [path, &tail].concat();
        let name = format!("{within}.{name}");
        self.0.insert(path.clone(), name.clone());
        (path, name)
    }

    fn message(&mut self, at: &[i32], tail: [i32; 2], within: &str, message: &DescriptorProto) {
        if message.options.as_ref().is_some_and(|options| options.map_entry()) {
            return; // protoc made it from a map field
        }
        let (path, name) = self.add(at, tail, within, message.name());
        for (i, field) in (0..).zip(&message.field) {
            self.add(&path, [MESSAGE_FIELD, i], &name, field.name());
        }
        for (i, oneof) in (0..).zip(&message.oneof_decl) {
            if !oneof.name().starts_with('_') {
                self.add(&path, [MESSAGE_ONEOF, i], &name, oneof.name());
            }
        }
        for (i, nested) in (0..).zip(&message.nested_type) {
            self.message(&path, [MESSAGE_NESTED, i], &name, nested);
        }
        for (i, enumeration) in (0..).zip(&message.enum_type) {
            self.enumeration(&path, [MESSAGE_ENUM, i], &name, enumeration);
        }
    }

    fn enumeration(&mut self, at: &[i32], tail: [i32; 2], within: &str, e: &EnumDescriptorProto) {
        let (path, name) = self.add(at, tail, within, e.name());
        for (i, value) in (0..).zip(&e.value) {
            self.add(&path, [ENUM_VALUE, i], &name, value.name());
        }
    }

    fn service(&mut self, tail: [i32; 2], within: &str, service: &ServiceDescriptorProto) {
        let (path, name) = self.add(&[], tail, within, service.name());
        for (i, method) in (0..).zip(&service.method) {
            self.add(&path, [SERVICE_METHOD, i], &name, method.name());
        }
    }

    fn of(file: &FileDescriptorProto) -> Self {
        let mut named = Self::default();
        for (i, message) in (0..).zip(&file.message_type) {
            named.message(&[], [FILE_MESSAGE, i], file.name(), message);
        }
        for (i, enumeration) in (0..).zip(&file.enum_type) {
            named.enumeration(&[], [FILE_ENUM, i], file.name(), enumeration);
        }
        for (i, service) in (0..).zip(&file.service) {
            named.service([FILE_SERVICE, i], file.name(), service);
        }
        named
    }
}

#[test]
fn everything_with_a_name_has_a_comment() {
    let mut seen = 0;
    let mut bare = Vec::new();
    for file in files() {
        let comments: BTreeMap<&[i32], &str> = file
            .source_code_info
            .as_ref()
            .expect("protoc kept the source info")
            .location
            .iter()
            .map(|location| (location.path.as_slice(), location.leading_comments().trim()))
            .collect();
        for (path, name) in Named::of(&file).0 {
            seen += 1;
            if comments.get(path.as_slice()).is_none_or(|comment| comment.is_empty()) {
                bare.push(name);
            }
        }
    }
    assert!(bare.is_empty(), "without a comment:\n{}", bare.join("\n"));
    assert!(seen > 400, "only {seen} names: the walk misses some");
}

#[test]
fn enums_begin_with_unspecified_and_carry_their_name() {
    for file in files() {
        for enumeration in &file.enum_type {
            let prefix = shouting(enumeration.name());
            let values: Vec<&str> = enumeration.value.iter().map(|value| value.name()).collect();
            assert_eq!(values[0], format!("{prefix}_UNSPECIFIED"));
            for value in values {
                assert!(value.starts_with(&format!("{prefix}_")), "{value} in {prefix}");
            }
        }
    }
}

#[test]
fn every_service_of_the_design_is_there() {
    let mut services: Vec<String> =
        files().iter().flat_map(|file| &file.service).map(|s| s.name().to_owned()).collect();
    services.sort();
    assert_eq!(
        services,
        ["Audit", "Bundles", "Cluster", "Events", "Local", "Plans", "Runs", "Sentries", "Sites"]
    );
}

#[test]
fn every_reason_stands_in_the_contract_of_the_errors() {
    let contract = include_str!("../standfast/v1/common.proto");
    for reason in standfast_proto::reason::ALL {
        assert!(contract.contains(&format!("{reason}, ")), "{reason}");
    }
}

/// `SiteRole` as `SITE_ROLE`.
fn shouting(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}
