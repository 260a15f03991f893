//! Reads the source and holds it to the house: who may know whom, sizes, names, nothing unfinished, nothing private.
//!
//! Every rule is shown a bad sample beside it, so that none of them can pass by looking away.

mod borders;
mod circles;
mod lexer;
mod sizes;
mod tree;
mod words;

use tree::Fault;

/// Fails with every fault as `FILE:LINE: what`.
fn expect_none(faults: &[Fault]) {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} faults\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn crates_know_only_whom_the_table_lets_them_know() {
    let files = tree::read();
    expect_none(&borders::manifests(&files));
    expect_none(&borders::sources(&files));
}

#[test]
fn pure_crates_are_told_and_never_look() {
    expect_none(&borders::purity(&tree::read()));
}

#[test]
fn no_crates_and_no_modules_stand_in_a_circle() {
    let files = tree::read();
    expect_none(&borders::crate_circles(&files));
    expect_none(&circles::modules(&files));
}

#[test]
fn files_and_functions_stay_readable() {
    let files = tree::read();
    for line in sizes::long_files(&files) {
        println!("{line}");
    }
    expect_none(&sizes::files_too_long(&files));
    expect_none(&sizes::functions_too_long(&files));
}

#[test]
fn names_say_what_a_thing_is() {
    expect_none(&words::empty_names(&tree::read()));
}

#[test]
fn nothing_is_left_unfinished() {
    expect_none(&words::unfinished(&tree::read()));
}

#[test]
fn nothing_names_a_path_of_one_machine() {
    expect_none(&words::private_paths(&tree::read()));
}

#[test]
fn the_top_level_is_the_list_of_the_house() {
    let names = tree::top_level();
    expect_none(&words::strangers_at_the_top(&names));
    expect_none(&words::missing_at_the_top(&names));
}
