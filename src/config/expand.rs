//! `${VAR}`, `${file:PATH}` and `${cred:NAME}` inside texts; `$${` stands for `${` itself.

use std::io;
use std::path::Path;

/// The longest file that a text may take in, in bytes: a token or a password is far shorter.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// Where variables and files come from.
pub(crate) struct Surroundings<'a> {
    /// An environment variable, by name.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// A file's text, by path.
    pub(crate) file: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl Surroundings<'static> {
    /// The environment and the disk of this process.
    pub(crate) fn of_this_process() -> Surroundings<'static> {
        Surroundings { variable: &|name| std::env::var(name).ok(), file: &|path| std::fs::read_to_string(path) }
    }
}

impl Surroundings<'_> {
    /// `text` with everything in `${…}` put in place; the error says what is wrong and what would be right.
    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                expanded.push_str(&rest[..at]);
                expanded.push('{');
                rest = &rest[at + 2..];
                continue;
            }
            expanded.push_str(&rest[..at]);
            let Some(length) = rest[at..].find('}') else {
                return Err(format!(
                    "`{}` is not closed, write `${{NAME}}`, or `$${{` for the characters themselves",
                    &rest[at..]
                ));
            };
            expanded.push_str(&self.look_up(&rest[at + 2..at + length])?);
            rest = &rest[at + length + 1..];
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn look_up(&self, name: &str) -> Result<String, String> {
        if let Some(path) = name.strip_prefix("file:") {
            return self.read(name, Path::new(path));
        }
        if let Some(credential) = name.strip_prefix("cred:") {
            if credential.is_empty() || credential.contains(['/', '\\']) || credential.starts_with('.') {
                return Err(format!("`${{{name}}}` names no credential, write the bare name of `LoadCredential=`"));
            }
            let Some(directory) = (self.variable)("CREDENTIALS_DIRECTORY") else {
                return Err(format!(
                    "`${{{name}}}` needs the variable CREDENTIALS_DIRECTORY, which systemd sets for `LoadCredential={credential}:PATH`"
                ));
            };
            return self.read(name, &Path::new(&directory).join(credential));
        }
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(format!("`${{{name}}}` is not known, write `${{VARIABLE}}`, `${{file:PATH}}` or `${{cred:NAME}}`"));
        }
        (self.variable)(name).ok_or_else(|| format!("the variable {name} is not set, set it or write the value here"))
    }

    fn read(&self, name: &str, path: &Path) -> Result<String, String> {
        match (self.file)(path) {
            Ok(text) if text.len() > FILE_BYTES_MAX => Err(format!(
                "the file of `${{{name}}}` is longer than {FILE_BYTES_MAX} bytes, name one that holds the value alone"
            )),
            Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => Err(format!("{} cannot be read ({error}), name a file that this user may read", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, String> {
        let variable = |name: &str| match name {
            "HOME_ADDRESS" => Some("192.0.2.1".to_owned()),
            "CREDENTIALS_DIRECTORY" => Some("/run/credentials".to_owned()),
            _ => None,
        };
        let file = |path: &Path| match path.to_str() {
            Some("/etc/token") => Ok("s3cret\n".to_owned()),
            Some("/run/credentials/token") => Ok("cr3d".to_owned()),
            Some("/long") => Ok("x".repeat(FILE_BYTES_MAX + 1)),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        Surroundings { variable: &variable, file: &file }.expand(text)
    }

    #[test]
    fn variables_files_and_credentials_are_put_in_place() {
        for (text, expanded) in [
            ("plain", "plain"),
            ("udp:${HOME_ADDRESS}:5060", "udp:192.0.2.1:5060"),
            ("${HOME_ADDRESS}${HOME_ADDRESS}", "192.0.2.1192.0.2.1"),
            ("${file:/etc/token}", "s3cret"),
            ("${cred:token}", "cr3d"),
            ("$5 and $${HOME_ADDRESS}", "$5 and ${HOME_ADDRESS}"),
            ("{}$", "{}$"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(expanded), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_says_what_would_be_right() {
        for (text, part) in [
            ("${NOBODY}", "the variable NOBODY is not set"),
            ("${HOME_ADDRESS", "is not closed"),
            ("${}", "write `${VARIABLE}`"),
            ("${vault:x}", "write `${VARIABLE}`"),
            ("${file:/nowhere}", "/nowhere cannot be read"),
            ("${file:/long}", "longer than"),
            ("${cred:../shadow}", "names no credential"),
            ("${cred:}", "names no credential"),
            ("${cred:nobody}", "/run/credentials/nobody cannot be read"),
        ] {
            let fault = expand(text).unwrap_err();
            assert!(fault.contains(part), "{text}: {fault}");
        }
    }
}
