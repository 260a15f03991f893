//! How long a file and a function may be.

use crate::lexer::{closing, words};
use crate::tree::{Fault, File, fault_at};

const FILE_LINES_WISHED: usize = 400;
const FILE_LINES_MAX: usize = 1_000;
const FUNCTION_LINES_MAX: usize = 70;

/// Files over the wished size: worth a look, no fault.
pub(crate) fn long_files(files: &[File]) -> Vec<String> {
    let lines = |file: &File| file.lines_without_tests();
    let long = files.iter().filter(|file| file.is_rust() && lines(file) > FILE_LINES_WISHED);
    long.map(|file| format!("{}: {} lines without tests; {FILE_LINES_WISHED} are wished", file.path, lines(file))).collect()
}

/// Files over the limit.
pub(crate) fn files_too_long(files: &[File]) -> Vec<Fault> {
    let lines = |file: &File| file.lines_without_tests();
    let long = files.iter().filter(|file| file.is_rust() && lines(file) > FILE_LINES_MAX);
    long.map(|file| fault_at(&file.path, 1, format!("{} lines without tests; {FILE_LINES_MAX} is the limit", lines(file))))
        .collect()
}

/// Functions over the limit, tests included.
pub(crate) fn functions_too_long(files: &[File]) -> Vec<Fault> {
    files.iter().filter(|file| file.is_rust()).flat_map(functions_of).collect()
}

fn functions_of(file: &File) -> Vec<Fault> {
    let mut faults = Vec::new();
    let all = words(&file.code);
    for pair in all.windows(2).filter(|pair| pair[0].1 == "fn") {
        let [(at, _), (name_at, name)] = pair else { continue };
        let is_definition = file.code[at + 2..*name_at].chars().all(char::is_whitespace);
        let Some(lines) = is_definition.then(|| body_lines(&file.code, *name_at)).flatten() else { continue };
        if lines > FUNCTION_LINES_MAX {
            faults.push(file.fault(*at, format!("{name} has {lines} lines of code; {FUNCTION_LINES_MAX} is the limit")));
        }
    }
    faults
}

/// Lines with code between the braces of the function whose name stands at `from`; none where it has no body.
fn body_lines(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => {
                let end = closing(code, from + at)?;
                return Some(code[from + at + 1..end].lines().filter(|line| !line.trim().is_empty()).count());
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod bad_samples {
    use super::*;

    fn function(lines: usize) -> File {
        File::new(
            "src/a.rs",
            &format!("struct A;\nfn long(x: [u8; 4]) -> u8 {{\n{}    // why\n\n}}\n", "    step();\n".repeat(lines)),
        )
    }

    #[test]
    fn a_function_of_71_lines_is_caught_and_one_of_70_is_not() {
        let faults: Vec<String> = functions_of(&function(71)).iter().map(ToString::to_string).collect();
        assert_eq!(faults, ["src/a.rs:2: long has 71 lines of code; 70 is the limit"]);
        assert!(functions_of(&function(70)).is_empty());
    }

    #[test]
    fn a_file_over_the_limit_is_caught_without_its_tests() {
        let long = File::new("src/a.rs", &"x();\n".repeat(1_001));
        assert_eq!(files_too_long(&[long]).len(), 1);
        let tested =
            File::new("src/a.rs", &format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "x();\n".repeat(300), "y();\n".repeat(900)));
        assert!(files_too_long(&[tested]).is_empty());
    }

    #[test]
    fn a_file_over_the_wish_is_reported() {
        assert_eq!(long_files(&[File::new("src/a.rs", &"x();\n".repeat(401))]).len(), 1);
        assert!(long_files(&[File::new("src/a.rs", &"x();\n".repeat(400))]).is_empty());
    }
}
