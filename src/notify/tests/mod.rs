//! Who is told what, why, and in which words.

mod mail;
mod payloads;
mod planning;
mod routes;
#[expect(unreachable_pub, reason = "the macros declare public types")]
mod sample;
