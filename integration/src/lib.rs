//! Sites made of real parts, and what is proven and measured on them.

pub mod given;
pub mod parts;
pub mod store_contract;
