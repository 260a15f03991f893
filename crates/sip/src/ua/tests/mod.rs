//! Plays, acted through the public door in virtual time.

mod called;
mod calling;
mod desk;
mod door;
mod offers;
mod pair;
mod refers;
mod streams;
mod up;
