//! Plays, acted through the public door in virtual time.

mod called;
mod calling;
mod desk;
mod door;
mod moves;
mod offers;
mod pair;
mod pracks;
mod refers;
mod streams;
mod timers;
mod up;
mod updates;
