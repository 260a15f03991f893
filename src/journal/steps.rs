//! A journal as a trail: every call as it stood, step after step, for whoever looks at it afterwards and takes nothing up.

use baton_switchboard::CallRecord;

use super::file::{self, Kind};
use super::past::{Head, ID_LENGTH, VERSION};

/// A line about a call.
#[derive(Debug)]
pub(crate) enum Step {
    /// So it stood.
    Stands(Box<CallRecord>),
    /// It was over.
    Gone,
}

/// Why a journal is no trail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSteps {
    /// Its lines mean something else.
    #[error("is a journal of another version of Baton")]
    Version,
    /// A line is whole, and no call.
    #[error("has a call in it that cannot be read: {0}")]
    Call(String),
}

/// Whether a file begins as a journal does.
pub(crate) fn is_journal(bytes: &[u8]) -> bool {
    matches!(file::next(&mut &bytes[..]), Ok(Some((Kind::Head, _))))
}

/// Every line about a call, with the text of the call's id, up to where the file ends or was torn. From which start of the machine it is does not
/// matter here. Older steps of a long file are not in it: it is begun anew from time to time.
pub(crate) fn steps(bytes: &[u8]) -> Result<Vec<(String, Step)>, NoSteps> {
    let mut file = bytes;
    let mut steps = Vec::new();
    while let Ok(Some((kind, mut line))) = file::next(&mut file) {
        match kind {
            Kind::Head => {
                let head = rmp_serde::from_slice::<Head>(&line);
                head.ok().filter(|head| head.version == VERSION).ok_or(NoSteps::Version)?;
            }
            Kind::Call if line.len() > ID_LENGTH => {
                let call = line.split_off(ID_LENGTH);
                let record = rmp_serde::from_slice(&call).map_err(|fault| NoSteps::Call(fault.to_string()))?;
                steps.push((String::from_utf8_lossy(&line).into_owned(), Step::Stands(record)));
            }
            Kind::Gone => steps.push((String::from_utf8_lossy(&line).into_owned(), Step::Gone)),
            Kind::Call | Kind::Common | Kind::Phones | Kind::Marks => {}
        }
    }
    Ok(steps)
}

/// A journal with these lines about calls: each with the call's id, and as it stood, where it did.
#[cfg(test)]
pub(crate) fn written(lines: &[(baton_contract::CallId, Option<Vec<u8>>)]) -> Vec<u8> {
    written_as(VERSION, lines)
}

/// The same, by a version of Baton that has this number for the layout.
#[cfg(test)]
pub(crate) fn written_as(version: u32, lines: &[(baton_contract::CallId, Option<Vec<u8>>)]) -> Vec<u8> {
    let mut head = Head::new(crate::clock::Clock::start()).unwrap();
    head.version = version;
    let mut bytes = Vec::new();
    file::append(&mut bytes, Kind::Head, [&rmp_serde::to_vec_named(&head).unwrap(), &[]]);
    for (id, call) in lines {
        let (kind, call) = call.as_ref().map_or((Kind::Gone, &[][..]), |call| (Kind::Call, &call[..]));
        file::append(&mut bytes, kind, [id.to_string().as_bytes(), call]);
    }
    bytes
}
