//! Tables in docs/ that a test writes by calling a machine.

use std::path::Path;

const BEGIN: &str = "<!-- table: begin -->\n\n";
const END: &str = "<!-- table: end -->\n";

/// Checks that the page `name` of docs/ shows this table; with `BATON_BLESS` in the environment it is written there instead.
pub(crate) fn shows(name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("docs/{name}: {error}"));
    let (head, rest) = page.split_once(BEGIN).expect("the table has a beginning");
    let (known, tail) = rest.split_once(END).expect("the table has an end");
    if std::env::var_os("BATON_BLESS").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).expect("a page can be written");
        return;
    }
    let differs = known.lines().zip(table.lines()).find(|(known, new)| known != new);
    assert!(
        known == table,
        "docs/{name} is not what the machine does ({differs:?}); `BATON_BLESS=1 cargo test -p baton-transfer table` writes it anew"
    );
}
