//! Sites made of real parts, and what is proven and measured on them.

pub mod bench;
pub mod chaos;
pub mod demo;
pub mod given;
pub mod lab;
pub mod parts;
pub mod store_contract;
