//! A good history is found good, and each mistake that is made in it is found: none of the rules is
//! blind.

mod mistakes;
mod story;
