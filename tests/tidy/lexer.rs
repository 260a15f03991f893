//! Separates the code of a Rust file from its comments and its literals, keeping every line where it is.

/// A Rust text in two layers of equal shape: what is not in a layer is blank there.
pub(crate) struct Layers {
    /// Code with comments and the insides of literals blanked.
    pub(crate) code: String,
    /// Comments alone.
    pub(crate) comments: String,
}

/// Splits `text` into its layers.
pub(crate) fn layers(text: &str) -> Layers {
    let mut reader = Reader { chars: text.chars().collect(), at: 0, code: String::new(), comments: String::new() };
    while reader.at < reader.chars.len() {
        reader.step();
    }
    Layers { code: reader.code, comments: reader.comments }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    code: String,
    comments: String,
}

impl Reader {
    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (Some('/'), Some('/')) => self.line_comment(),
            (Some('/'), Some('*')) => self.block_comment(),
            (Some('"'), _) => self.string(),
            (Some('\''), _) if self.is_char_literal() => self.char_literal(),
            (Some('r'), Some('"' | '#')) if self.starts_raw_string() => self.raw_string(),
            _ => self.keep_code(),
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn keep_code(&mut self) {
        let Some(c) = self.peek(0) else { return };
        self.code.push(c);
        self.comments.push(if c == '\n' { c } else { ' ' });
        self.at += 1;
    }

    fn keep_comment(&mut self) {
        let Some(c) = self.peek(0) else { return };
        self.comments.push(c);
        self.code.push(if c == '\n' { c } else { ' ' });
        self.at += 1;
    }

    fn blank(&mut self) {
        let Some(c) = self.peek(0) else { return };
        let shown = if c == '\n' { c } else { ' ' };
        self.code.push(shown);
        self.comments.push(shown);
        self.at += 1;
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.keep_comment();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (None, _) => return,
                _ => {
                    self.keep_comment();
                    continue;
                }
            }
            self.keep_comment();
            self.keep_comment();
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.keep_code();
        while let Some(c) = self.peek(0) {
            match c {
                '"' => return self.keep_code(),
                '\\' => {
                    self.blank();
                    self.blank();
                }
                _ => self.blank(),
            }
        }
    }

    fn is_char_literal(&self) -> bool {
        self.peek(1) == Some('\\') || (self.peek(2) == Some('\'') && self.peek(1) != Some('\''))
    }

    fn char_literal(&mut self) {
        self.keep_code();
        if self.peek(0) == Some('\\') {
            self.blank();
        }
        self.blank();
        while self.peek(0).is_some_and(|c| c != '\'') {
            self.blank();
        }
        self.keep_code();
    }

    fn starts_raw_string(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.chars.get(at)).copied();
        let two_before = self.at.checked_sub(2).and_then(|at| self.chars.get(at)).copied();
        let joined = match before {
            Some('b' | 'c') => two_before.is_some_and(is_word),
            Some(c) => is_word(c),
            None => false,
        };
        let hashes = self.chars[self.at + 1..].iter().take_while(|c| **c == '#').count();
        !joined && self.peek(1 + hashes) == Some('"')
    }

    fn raw_string(&mut self) {
        self.keep_code();
        let mut hashes = 0;
        while self.peek(0) == Some('#') {
            hashes += 1;
            self.keep_code();
        }
        self.keep_code();
        while self.peek(0).is_some() {
            let closes = self.peek(0) == Some('"') && (1..=hashes).all(|n| self.peek(n) == Some('#'));
            if closes {
                (0..=hashes).for_each(|_| self.keep_code());
                return;
            }
            self.blank();
        }
    }
}

/// Whether `c` may stand in a name.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every name in `code` with the byte where it starts.
pub(crate) fn words(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in code.char_indices().chain([(code.len(), ' ')]) {
        match (is_word(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                found.push((from, &code[from..at]));
                start = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    found
}

/// The byte of the bracket that closes the one at `open`.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(open + at);
        }
    }
    None
}

#[test]
fn comments_and_literals_leave_the_code_layer() {
    let split = layers("let a = \"x // y\"; // say TODO\nlet b = 'q'; /* in /* out */ */ let c: &'static str = r#\"z\"w\"#;\n");
    assert!(split.code.contains("let a = \"      \"; "));
    assert!(split.code.contains("let b = ' ';"));
    assert!(split.code.contains("let c: &'static str = r#\"   \"#;"));
    assert!(split.comments.contains("// say TODO"));
    assert!(!split.code.contains("TODO") && !split.code.contains("out"));
    assert_eq!(split.code.lines().count(), split.comments.lines().count());
}

#[test]
fn an_escaped_quote_does_not_end_a_literal() {
    let split = layers(r#"let a = "\" fn hidden"; let b = '\''; let c = '"'; fn shown() {}"#);
    assert!(!split.code.contains("hidden"));
    assert!(split.code.contains("fn shown() {}"));
}
