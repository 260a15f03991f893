//! Plays, acted through the public door in virtual time.

mod anything;
mod beside;
mod called;
mod calling;
mod desk;
mod door;
mod failover;
mod moves;
mod offers;
mod options;
mod pair;
mod pracks;
mod refers;
mod registering;
mod registrar;
mod sources;
mod streams;
mod subscribing;
mod texts;
mod timers;
mod unsendable;
mod up;
mod updates;
