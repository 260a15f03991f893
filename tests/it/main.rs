//! The real binary, looked at from outside: what it prints, how it ends, what it leaves behind.

mod checking;
mod console;
mod demo;
mod events;
mod fuzzed;
mod kept;
mod papers;
mod scratch;
mod secure;
mod serving;
mod streams;
