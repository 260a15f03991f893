//! Plays, acted through the public door in virtual time.

mod anything;
mod called;
mod calling;
mod desk;
mod door;
mod moves;
mod offers;
mod pair;
mod pracks;
mod refers;
mod sources;
mod streams;
mod timers;
mod up;
mod updates;
