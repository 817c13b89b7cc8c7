//! Real daemons on a real etcd that fills up, loses answers, or is restored from a backup. Each file
//! opens with its situation, its danger and what is expected.

mod filled;
mod lost_answers;
mod restored;
mod stage;

type Outcome<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
