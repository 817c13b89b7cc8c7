//! What a look finds on real parts, one test a kind of trouble, and that it changes nothing.

mod certificates;
mod databases;
mod given;
mod hosts;
mod targets;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;
